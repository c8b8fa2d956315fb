// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"strings"
	"testing"
)

const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestParse(t *testing.T) {
	c, err := Parse([]byte(`identity: /id
listen: 10.0.0.1:7701
orphan: 30s
peers: [{name: s2, address: "10.0.0.2:7701", key: ` + key + `}]
services: [{name: web, user: "33", listen: "10.0.0.100:80", device: eth0}]
quota: {sessions: 10, bytes: 1000}
quotas: [{user: "33", sessions: 500, listeners: 3}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Services[0]; s.UID != 33 || s.Addr != netip.MustParseAddrPort("10.0.0.100:80") || c.Socket != DefaultSocket {
		t.Errorf("%+v", c)
	}
	if q := c.Quotas[0]; c.Quota != (Quota{Sessions: 10, Bytes: 1000}) || q.UID != 33 || q.Quota != (Quota{Sessions: 500, Listeners: 3}) {
		t.Errorf("%+v, %+v", c.Quota, q)
	}
}

func TestParseRefuses(t *testing.T) {
	peer := func(name, addr, key string) string {
		return "identity: /id\npeers:\n - {name: " + name + ", address: \"" + addr + "\", key: \"" + key + "\"}\n"
	}
	service := func(s string) string { return "services:\n - {" + s + "}\n" }
	victim := func(s string) string { return "salvage:\n - {" + s + "}\n" }
	for name, c := range map[string]struct{ text, want string }{
		"typo":        {"sokcet: x\n", "[1:1]"},
		"no identity": {"listen: \":1\"\n", "need an identity"},
		"peer's name": {peer("\"\"", "a:1", key), "[3:11] peers[0].name"},
		"peer's key":  {peer("s2", "a:1", "x"), "peers[0].key"},
		"address":     {peer("s2", "nowhere", key), "peers[0].address"},
		"same key":    {peer("s2", "a:1", key) + " - {name: s3, address: \"b:1\", key: \"" + key + "\"}\n", "another peer has this key"},
		"user":        {service("name: web, user: nobody-by-that-name, listen: \"1.2.3.4:80\""), "services[0].user"},
		"listen":      {service("name: web, user: \"0\", listen: \"80\""), "services[0].listen"},
		"device":      {service("name: web, user: \"0\", listen: \"0.0.0.0:80\", device: eth0"), "services[0].device"},
		"long name":   {service("name: " + strings.Repeat("x", 40) + ", user: \"0\", listen: \"1.2.3.4:80\""), "services[0].name"},
		"serves":      {"identity: /id\npeers: [{name: s2, address: \"a:1\", key: \"" + key + "\", serves: [\"80\"]}]\n", "peers[0].serves[0]"},
		"bound":       {"sessions: -1\n", "a negative bound"},
		"quota":       {"quota: {processes: -1}\n", "[1:8] quota"},
		"quotas":      {"quotas:\n - {user: \"33\", bytes: -1}\n", "quotas[0]: a negative bound"},
		"quota twice": {"quotas:\n - {user: \"0\"}\n - {user: root}\n", "quotas[1].user"},
		"quota whose": {"quotas: [{sessions: 1}]\n", "quotas[0].user"},
		"metrics":     {"metrics: here\n", "[1:10] metrics"},
		"victim":      {victim("url: \"lab:s1\""), "salvage[0].name: no name"},
		"memory":      {victim("name: s1, url: \"http://s1\""), "salvage[0].url"},
		"reader":      {victim("name: s1, url: \"rdma://s1\", device: eth0, addresses: [1.2.3.4/24]"), "needs a key_file"},
		"interface":   {victim("name: s1, url: \"lab:s1\", addresses: [1.2.3.4/24]"), "salvage[0].device"},
		"no address":  {victim("name: s1, url: \"lab:s1\", device: eth0"), "salvage[0].addresses"},
		"no subnet":   {victim("name: s1, url: \"lab:s1\", device: eth0, addresses: [1.2.3.4]"), "salvage[0].addresses[0]"},
		"how much":    {victim("name: s1, url: \"lab:s1\", device: eth0, addresses: [1.2.3.4/24], policy: half"), "want minimal or whole"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
