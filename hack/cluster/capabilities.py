"""Which Linux capabilities this machine's bounding set lacks: a privileged container must not ask for them.

Contract: pure but for one read of /proc/self/status.
"""

from __future__ import annotations

from pathlib import Path

# In the kernel's order: the number of a capability is its place here.
NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]


def lacking(status: str, last: int) -> list[str]:
    """Capabilities up to number `last` that the line CapBnd of a /proc/PID/status leaves out."""
    bounding = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return [f"CAP_{name}" for number, name in enumerate(NAMES) if number <= last and not bounding >> number & 1]


def lacking_here() -> list[str]:
    """Capabilities that the kernel knows and this process can never get."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    return lacking(Path("/proc/self/status").read_text(), last)
