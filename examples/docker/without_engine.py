"""Execute the steps of the Containerfile where there is no container engine, and check what comes out.

    python examples/docker/without_engine.py

Each absolute path of the Containerfile becomes one in a temporary folder, and `python` is the Python that runs this
script. The sandbox then runs on a free port, as the image's user if this script runs as root, and is used and checked:
health, user, volume, nothing written elsewhere, a restart with the same volume, and the end by SIGTERM.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.request import ProxyHandler, Request, build_opener

HERE: Final = Path(__file__).resolve().parent
CONTEXT: Final = HERE.parent.parent
PORT: Final = "8025"
PATIENCE: Final = 60.0  # seconds
TERMINATED: Final = 143
SEND: Final = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:s="https://smscentre.com/sys/soap.php"><e:Body>
<s:send><apikey>demo</apikey><phones>+79991234567</phones><mes>Your code is 4821</mes></s:send></e:Body></e:Envelope>"""
_open = build_opener(ProxyHandler({})).open


@dataclass
class Image:
    """What the last stage of a Containerfile describes.

    Attributes:
        root: The folder that stands for "/".
        port: The port that stands for 8025.
        environment: Its variables.
        workdir: The folder in which its programs start.
        user: Its user, "" for root.
        volumes: Its volumes.
        health: The command that tells whether it is healthy.
        entrypoint: The command that it runs.
    """

    root: Path
    port: str
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    volumes: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)

    def set(self, name: str, value: str) -> None:
        """Take over an instruction that does nothing while the image is built."""
        if name == "ENV":
            self.environment |= dict(word.split("=", 1) for word in shlex.split(value))
        elif name == "WORKDIR":
            self.workdir = value
        elif name == "USER":
            self.user = value
        elif name == "VOLUME":
            self.volumes.append(value)
        elif name == "HEALTHCHECK":
            self.health = json.loads(value.partition("CMD ")[2])
        elif name == "ENTRYPOINT":
            self.entrypoint = json.loads(value)
        elif name not in {"ARG", "EXPOSE"}:
            raise SystemExit(f"this script does not know {name}")

    def inside(self, path: str) -> Path:
        """Return the folder that stands for an absolute path."""
        return self.root / path.lstrip("/")

    def here(self, text: str) -> str:
        """Return a text with the paths and the port of this machine; programs of the base image are its own."""
        text = text.replace(PORT, self.port)
        return re.sub(r"(?<![\w./-])/(?:src|opt|state)\b", lambda found: f"{self.root}{found[0]}", text)

    def command(self, words: Sequence[str]) -> list[str]:
        """Return a command of the image with the paths of this machine, its program found by the image's PATH."""
        program, *arguments = (self.here(word) for word in words)
        return [shutil.which(program, path=self.variables()["PATH"]) or program, *arguments]

    def variables(self) -> dict[str, str]:
        """Return the environment of its programs: nothing of this machine."""
        return {name: self.here(value) for name, value in self.environment.items()}


def instructions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Containerfile, with the values of its ARGs."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    arguments: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.strip().partition(" ")
        value = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], rest.strip())
        if name == "ARG":
            key, _, default = value.partition("=")
            arguments[key] = default
        yield name, value


def build(root: Path, port: str) -> Image:
    """Execute the steps, and return the image of the last stage."""
    image, stages = Image(root, port), dict[str, Path]()
    for name, value in instructions(HERE / "Containerfile"):
        say(f"{name} {value}")
        if name == "FROM":
            image = Image(root, port)
            _begin_stage(root, stages, value)
        elif name == "COPY":
            _copy(image, stages, value.split())
        elif name == "RUN":
            _run(image, value)
        else:
            image.set(name, value)
    return image


def _begin_stage(root: Path, stages: dict[str, Path], value: str) -> None:
    """Put what the last stage has made aside, so that the next one has only what it copies."""
    if stages:
        root.rename([*stages.values()][-1])
    root.mkdir()
    root.chmod(0o755)
    stages[value.rsplit(maxsplit=1)[-1]] = root.with_name(f"stage{len(stages)}")


def _copy(image: Image, stages: dict[str, Path], words: list[str]) -> None:
    *sources, target = words
    where = CONTEXT
    if sources[0].startswith("--from="):
        where = stages[sources.pop(0).removeprefix("--from=")]
    to = image.inside(target)
    for source in (where / each.lstrip("/") for each in sources):
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True, ignore=ignored if where == CONTEXT else None)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to)


def _run(image: Image, value: str) -> None:
    command = image.here(value)
    if not can_be_another_user():  # only root may give a folder to somebody else
        command = re.sub(r" -[og] \d+", "", command)
    tools = image.root.with_name("tools")
    if not tools.exists():
        tools.mkdir()
        (tools / "python").symlink_to(os.path.realpath(sys.executable))
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["/bin/sh", "-ec", command], check=True, env={**os.environ, "PATH": path}, stdout=sys.stderr)  # noqa: S603 - the steps of the file beside this one


@contextmanager
def running(image: Image, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run the entrypoint as the image's user, until it has ended by SIGTERM."""
    as_user = {}
    if can_be_another_user():
        user, group = map(int, image.user.split(":"))
        as_user = {"user": user, "group": group, "extra_groups": []}
    process = subprocess.Popen(  # type: ignore[call-overload] # noqa: S603 - the entrypoint of the file beside this one
        [*image.command(image.entrypoint), *arguments],
        cwd=image.inside(image.workdir),
        env=image.variables(),
        stdin=subprocess.DEVNULL,
        **as_user,
    )
    try:
        subprocess.run(image.command(image.health), env=image.variables(), check=True, timeout=PATIENCE)  # noqa: S603 - its health check
        say("healthy")
        yield process
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
    check(code == TERMINATED, f"SIGTERM ended it with exit code {code}, not {TERMINATED}")


def files(image: Image) -> dict[str, int]:
    """Return the files outside the volumes, with the times of their changes."""
    volumes = [image.inside(volume) for volume in image.volumes]
    return {
        str(path): path.lstat().st_mtime_ns
        for path in image.root.rglob("*")
        if not any(path.is_relative_to(volume) for volume in volumes)
    }


def can_be_another_user() -> bool:
    """Return whether this script is root, and another user can run the Python of this script."""
    python = Path(os.path.realpath(sys.executable))
    return not os.geteuid() and all(folder.stat().st_mode & 0o001 for folder in (python, *python.parents))


def user_of(process: "subprocess.Popen[bytes]") -> int:
    """Return the user that a process runs as."""
    return os.stat(f"/proc/{process.pid}").st_uid  # noqa: PTH116 - a number is wanted


def messages(image: Image) -> int:
    """Return how many messages the sandbox has accepted."""
    with _open(f"http://127.0.0.1:{image.port}/_sandbox/api/messages", timeout=PATIENCE) as answer:
        return int(json.load(answer)["total"])


def send(image: Image) -> None:
    """Send a message to the sandbox."""
    url = f"http://127.0.0.1:{image.port}/sys/soap.php"
    with _open(Request(url, SEND.encode(), {"Content-Type": "text/xml"}), timeout=PATIENCE) as answer:
        check(b"<id>" in answer.read(), "the message was not accepted")


def check(is_right: object, problem: str) -> None:
    """End with a problem, if there is one."""
    if not is_right:
        raise SystemExit(problem)


def say(text: str) -> None:
    """Show a step."""
    sys.stderr.write(f"{text}\n")


def free_port() -> str:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def main() -> None:
    """Build the image, and check it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        image = build(Path(folder) / "root", free_port())
        before = files(image)
        with running(image, "--no-token") as process:
            if not os.geteuid() and not can_be_another_user():
                say("its user is not checked: only root can run the Python of this script")
            else:
                check(user_of(process), "it runs as root")
            send(image)
            check(messages(image) == 1, "the message is not there")
        check(files(image) == before, "it has written outside its volume")
        (volume,) = map(image.inside, image.volumes)
        state = [path for path in volume.rglob("*") if path.is_file()]
        check(state and all(path.stat().st_mode & 0o077 == 0 for path in state), "the state is not private")
        with running(image, "--no-token"):
            check(messages(image) == 1, "the volume has not kept the message")
        refused = subprocess.run(  # noqa: S603 - its entrypoint
            image.command(image.entrypoint), env=image.variables(), check=False, capture_output=True, timeout=PATIENCE
        )
        check(refused.returncode and b"token" in refused.stderr, "it starts without a token")
    say(f"built, healthy, and kept its state in {time.process_time():.0f} s of this script's own time")


if __name__ == "__main__":
    main()
