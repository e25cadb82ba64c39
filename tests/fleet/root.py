"""A root file system with no more in it than the scripts may need, and processes that see nothing else.

Needs Linux with namespaces; no rights, where users may make namespaces of their own.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# What Amazon Linux 2023 has and the scripts use. Whatever else they call is not found.
TOOLS = ("bash", "cat", "dirname", "env", "install", "mkdir", "mv", "readlink", "rm", "sed", "stat", "timeout")
STANDS_IN = ("aws", "curl", "dnf", "journalctl", "modprobe", "sleep", "sysctl", "systemctl", "tc")
FOLDERS = ("dev", "etc/modules-load.d", "etc/sysctl.d", "etc/systemd/system", "opt", "run", "services", "sys/class/net/lo", "sys/class/net/ens5", "tmp", "usr/bin", "var/lib", "var/log")
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
UNSHARE = ["unshare", "--map-root-user", "--mount", "--pid", "--net", "--fork", "--kill-child"]
# A process that hangs is an error; a machine that is busy is none.
SECONDS_MAX = 300


def why_not():
    """Why no process can be given a root of its own here; empty if it can."""
    try:
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no unshare"
    return " ".join(done.stderr.split()) if done.returncode else ""


class Ended:
    def __init__(self, done, calls):
        self.code, self.out, self.complaints, self.calls = done.returncode, done.stdout, done.stderr, calls

    def of(self, name):
        return [arguments for called, arguments, _said in self.calls if called == name]

    @property
    def lines(self):
        """What was logged."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def text(self):
        return self.out + self.complaints


class Root:
    def __init__(self, world):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        for folder in FOLDERS:
            (self.path / folder).mkdir(parents=True)
        for name in ("bin", "sbin", "usr/sbin"):
            (self.path / name).symlink_to("/usr/bin")
        self.binds = []
        self._tools()
        for device in ("null", "urandom"):
            (self.path / "dev" / device).touch()
            self.binds.append(f"/dev/{device}")
        self.world = world

    def _tools(self):
        for tool in TOOLS:
            shutil.copy(shutil.which(tool), self.path / "usr/bin" / tool)
        (self.path / "usr/bin/sh").symlink_to("bash")
        for name in STANDS_IN:
            shutil.copy(HERE / "services.py", self.path / "usr/bin" / name)
            (self.path / "usr/bin" / name).chmod(0o755)
        for folder in LIBRARIES:
            if os.path.islink(folder):
                (self.path / folder[1:]).symlink_to(os.readlink(folder))
            elif os.path.isdir(folder):
                (self.path / folder[1:]).mkdir(parents=True, exist_ok=True)
                self.binds.append(folder)
        if os.path.exists("/etc/ld.so.cache"):
            shutil.copy("/etc/ld.so.cache", self.path / "etc")
        python = pathlib.Path(sys._base_executable).resolve()
        if sys.base_prefix == "/usr":
            shutil.copy(python, self.path / "usr/bin/python3")
        else:
            (self.path / "usr/bin/python3").symlink_to(python)
            (self.path / sys.base_prefix[1:]).mkdir(parents=True)
            self.binds.append(sys.base_prefix)

    def take_away(self, name):
        (self.path / "usr/bin" / name).unlink()

    def put(self, path, content):
        file = self.path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def text(self, path):
        return (self.path / path.lstrip("/")).read_text()

    def has(self, path):
        return (self.path / path.lstrip("/")).exists()

    def run(self, command, environment=None, disk_bytes=None):
        """Runs a command that sees only this root; with a disk of so many bytes below /var/lib/tranship."""
        self.put("/services/world.json", json.dumps(self.world))
        self.put("/services/calls.jsonl", "")
        mounts = ["set -e", 'root=$1', "shift"]
        mounts += [f'mount --bind {of} "$root{of}"; mount -o remount,bind,ro "$root{of}" 2> /dev/null || true' for of in self.binds]
        if disk_bytes is not None:
            (self.path / "var/lib/tranship").mkdir(exist_ok=True)
            mounts.append(f'mount -t tmpfs -o size={disk_bytes} tmpfs "$root/var/lib/tranship"')
        # Not by exec: the first process of a namespace hears no signal that it does not ask for.
        mounts += ['chroot "$root" /usr/bin/env --ignore-environment "$@" || code=$?', 'exit "${code:-0}"']
        variables = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin", **(environment or {})}
        whole = [*UNSHARE, "/bin/sh", "-c", "\n".join(mounts), "sh", str(self.path), *(f"{n}={v}" for n, v in variables.items()), *command]
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        done = subprocess.run(whole, capture_output=True, text=True, timeout=SECONDS_MAX, env={**os.environ, "PATH": path})
        calls = [json.loads(line) for line in self.text("/services/calls.jsonl").splitlines()]
        return Ended(done, calls)

    def close(self):
        self.folder.cleanup()
