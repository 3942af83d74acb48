"""What a program that uses docker-py does with an engine. DOCKER_HOST names it; busybox is loaded."""

import io
import tarfile
import threading

import docker

client = docker.from_env()
assert client.ping()
assert client.version()["ApiVersion"] >= "1.41"
assert client.info()["OSType"] == "linux"

# run to the end, streams apart, exit codes as exceptions
assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
try:
    client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    raise AssertionError("no ContainerError")
except docker.errors.ContainerError as error:
    assert (error.exit_status, error.stderr) == (3, b"bad\n"), (error.exit_status, error.stderr)
try:
    client.containers.run("busybox", "nosuch", remove=True)
    raise AssertionError("no APIError")
except docker.errors.APIError as error:
    assert "executable file not found" in str(error)

# detached, with labels, limits and a look from every side
box = client.containers.run("busybox", "sleep 1000", detach=True, name="sdk", labels={"who": "sdk"}, mem_limit="64m",
                            environment={"A": "b"}, working_dir="/tmp", cap_drop=["NET_RAW"], init=True)
assert box.status == "created"
box.reload()
assert box.status == "running"
assert box.attrs["HostConfig"]["Memory"] == 64 << 20
assert [c.name for c in client.containers.list(filters={"label": "who=sdk"})] == ["sdk"]
assert any("sleep" in " ".join(line) for line in box.top()["Processes"])
stats = box.stats(stream=False)
assert stats["memory_stats"]["limit"] == 64 << 20, stats["memory_stats"]
code, output = box.exec_run(["sh", "-c", "echo out; echo err >&2; pwd; exit 4"], demux=True)
assert (code, output) == (4, (b"out\n/tmp\n", b"err\n")), (code, output)
box.pause()
box.reload()
assert box.status == "paused"
box.unpause()
box.rename("sdk2")
box.restart(timeout=0)
box.kill()
assert box.wait()["StatusCode"] == 137
box.remove()

# attach with standard input, as a program does
box = client.containers.create("busybox", "cat", stdin_open=True)
socket = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
box.start()
socket._sock.sendall(b"through the pipe\n")
socket._sock.shutdown(1)
assert box.wait()["StatusCode"] == 0
assert box.logs() == b"through the pipe\n"
box.remove()

# logs that follow, events that arrive
seen = []
events = client.events(decode=True, filters={"type": "container"})
listener = threading.Thread(target=lambda: seen.extend(e["Action"] for _, e in zip(range(3), events)))
listener.start()
box = client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], detach=True)
assert b"".join(box.logs(stream=True, follow=True)) == b"1\n2\n3\n"
box.wait()
box.remove()
listener.join(120)
assert seen == ["create", "start", "die"], seen

# images
image = client.images.get("busybox")
assert image.tag("mine", "1")
assert "mine:1" in client.images.get("mine:1").tags
saved = b"".join(image.save(named=True))
assert "manifest.json" in tarfile.open(fileobj=io.BytesIO(saved)).getnames()
client.images.remove("mine:1")
assert [i.tags for i in client.images.load(saved)] == [["busybox:latest"]]
try:
    client.images.get("nosuch")
    raise AssertionError("no ImageNotFound")
except docker.errors.ImageNotFound:
    pass
client.containers.prune()
assert client.containers.list(all=True) == []
print("docker-py: all fine")
