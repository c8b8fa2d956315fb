module lazystate

go 1.26
