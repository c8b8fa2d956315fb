// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"lazystate/internal/leash"
	"lazystate/internal/tsc"
	"lazystate/tools/lab/kernel"
	"lazystate/tools/lab/wire"
)

const qemuCommand = "qemu-system-x86_64"

// cmdline is the guest kernel's. The lab's own saves boot time under TCG;
// Debian's is what the field runs. ramfs cannot be filled by a drill.
// The frequency of the counter is told, because a guest of a busy host can
// get it wrong by a factor: see internal/tsc.
func cmdline(c Config) string {
	khz := tsc.KHz()
	if c.ICount {
		khz = 1e6 // the counter is the guest's own time then
	}
	fast := fmt.Sprintf("quiet panic=0 mitigations=off tsc=reliable tsc_early_khz=%d no_timer_check", khz)
	if c.Debian {
		fast = "ro quiet"
	}
	return strings.TrimSpace("console=ttyS0 rootfstype=ramfs " + fast + " " + c.Append)
}

// cpu is the guest's. Where it says that byte-wise string instructions are fast,
// kernel and programs clear and copy a byte at a time; emulated, each byte takes
// as long as eight at once would.
func cpu(accel string) string {
	if accel == kvm {
		return "max"
	}
	return "max,erms=off,fsrm=off"
}

func kernelImage(c Config, k *kernel.Kernel) string {
	if c.KASLR {
		return k.Vmlinuz()
	}
	return k.Vmlinux()
}

func qemuArgs(d stateDir, c Config, k *kernel.Kernel, accel string) []string {
	args := []string{
		"-name", "lazystate-" + d.name(), "-accel", accel, "-machine", "q35,memory-backend=ram", "-cpu", cpu(accel),
		"-smp", strconv.Itoa(c.VCPUs), "-m", fmt.Sprintf("%dM", c.MemMiB),
		"-nodefaults", "-no-user-config", "-display", "none",
		"-object", fmt.Sprintf("memory-backend-file,id=ram,size=%dM,mem-path=%s,share=on", c.MemMiB, d.ram()),
		"-object", fmt.Sprintf("memory-backend-file,id=bar,size=%dM,mem-path=%s,share=on", c.BARMiB, d.bar()),
		"-device", "ivshmem-plain,memdev=bar",
		"-kernel", kernelImage(c, k), "-initrd", d.file("initrd.cpio"), "-append", cmdline(c),
		"-qmp", "unix:" + d.file("qmp.sock") + ",server=on,wait=off",
		"-qmp", "unix:" + d.file("events.sock") + ",server=on,wait=off",
		"-chardev", "socket,id=serial,path=" + d.file("serial.sock") + ",server=on,wait=off,logfile=" + d.file("serial.log"),
		"-serial", "chardev:serial",
		"-chardev", "socket,id=lab,path=" + d.file("guest.sock") + ",server=on,wait=off",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=lab,name=" + wire.PortName,
	}
	if c.ICount {
		args = append(args, "-icount", "shift=0")
	}
	if c.SwapMiB > 0 {
		args = append(args, "-drive", "file="+d.file("swap")+",if=none,id=swap,format=raw,cache=unsafe",
			"-device", "virtio-blk-pci,drive=swap")
	}
	for i := range c.NICs {
		args = append(args, nicArgs(d.name(), i, c.VCPUs, c.NICs[i].MTU)...)
	}
	return args
}

func nicArgs(vm string, i, queues, mtu int) []string {
	backend := fmt.Sprintf("tap,id=%s,ifname=%s,script=no,downscript=no", netdev(i), tapName(vm, i))
	device := fmt.Sprintf("virtio-net-pci,netdev=%s,mac=%s,romfile=", netdev(i), mac(vm, i))
	if queues > 1 {
		backend += fmt.Sprintf(",queues=%d", queues)
		device += fmt.Sprintf(",mq=on,vectors=%d", 2*queues+2)
	}
	if mtu != 0 {
		device += fmt.Sprintf(",host_mtu=%d", mtu)
	}
	return []string{"-netdev", backend, "-device", device}
}

// process is a running QEMU. It dies with the owner, whatever ends that.
type process struct {
	*os.Process
	exited chan struct{}
	err    error // valid once exited is closed
}

// follow notes the end of a process that was started; wait returns at that.
func follow(p *os.Process, wait func() error) *process {
	f := &process{Process: p, exited: make(chan struct{})}
	go func() {
		f.err = wait()
		close(f.exited)
	}()
	return f
}

// end kills QEMU and waits for its end; os.ErrProcessDone if it had ended before,
// for its number may be somebody else's since.
func (p *process) end() error {
	err := p.Kill()
	<-p.exited
	return err
}

// ended says how QEMU ended: by itself is an error too, but without a reason.
func (p *process) ended() error {
	if p.err == nil {
		return errors.New("qemu ended")
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		s, ok := exit.Sys().(syscall.WaitStatus)
		switch {
		case !ok || !s.Signaled():
		case s.Signal() == syscall.SIGABRT:
			return fmt.Errorf("qemu ended: %w: %w", ErrAborted, p.err)
		case s.Signal() == syscall.SIGBUS:
			return fmt.Errorf("qemu ended: %w: is there room for the guest's memory in %s?", p.err, shmRoot)
		}
	}
	return fmt.Errorf("qemu ended: %w", p.err)
}

// startQEMU starts QEMU, inside the namespace if net is not empty.
func startQEMU(net, logPath string, args []string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // QEMU has its own
	cmd := exec.Command(qemuCommand, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// Setpgid: ^C at the terminal reaches the owner, which ends QEMU in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	wait, err := start(net, cmd)
	if err != nil {
		return nil, err
	}
	return follow(cmd.Process, wait), nil
}

func start(net string, cmd *exec.Cmd) (wait func() error, err error) {
	if net == "" {
		return leash.Start(cmd, syscall.SIGKILL)
	}
	return leash.StartOn(func(f func() error) error { return InNetns(net, f) }, cmd, syscall.SIGKILL)
}
