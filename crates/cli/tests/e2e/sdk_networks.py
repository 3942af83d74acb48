"""What a program that uses docker-py does with networks. DOCKER_HOST names the engine; busybox is loaded."""

import time

import docker
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

client = docker.from_env()
began = int(time.time())
low = client.api


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except docker.errors.APIError as error:
        assert error.status_code == status, error
        return error.explanation
    raise AssertionError(f"not refused: {arguments} {named}")


# lists and filters
mine = client.networks.create("mine", labels={"who": "sdk"}, check_duplicate=True)
assert client.networks.get("mine").id == client.networks.get(mine.id[:12]).id == mine.id
assert {"bridge", "host", "none", "mine"} <= {n.name for n in client.networks.list()}
assert [n.id for n in client.networks.list(names=["mine"])] == [mine.id]
assert [n.id for n in client.networks.list(ids=[mine.id])] == [mine.id]
assert [n.id for n in client.networks.list(filters={"label": "who=sdk"})] == [mine.id]
assert mine.attrs["Labels"] == {"who": "sdk"} and mine.attrs["Driver"] == "bridge" and mine.attrs["Scope"] == "local"
assert "already exists" in refused(409, client.networks.create, "mine")

# addresses of every kind
pool = IPAMPool("10.90.0.0/16", "10.90.5.0/24", "10.90.5.254", {"a": "10.90.1.5", "b": "10.90.5.1"})
wide = client.networks.create("wide", ipam=IPAMConfig("default", [pool], {}), internal=True, options={
    "com.docker.network.bridge.enable_icc": "true"})
told = wide.attrs["IPAM"]["Config"][0]
assert told == {"Subnet": "10.90.0.0/16", "IPRange": "10.90.5.0/24", "Gateway": "10.90.5.254",
                "AuxiliaryAddresses": {"a": "10.90.1.5", "b": "10.90.5.1"}}, told
assert wide.attrs["Internal"] and wide.attrs["Options"] == {"com.docker.network.bridge.enable_icc": "true"}
six = client.networks.create("six", enable_ipv6=True, ipam=IPAMConfig(pool_configs=[IPAMPool("fd00:90::/64")]))
assert six.attrs["EnableIPv6"]
refused(404, client.networks.create, "bad", driver="nosuch")
refused(400, client.networks.create, "bad", ipam=IPAMConfig(pool_configs=[IPAMPool("10.90.1.300/24")]))

# containers come with what was asked
config = low.create_networking_config({"mine": low.create_endpoint_config(aliases=["db", "store"])})
box = low.create_container("busybox", "sleep 1000", name="box", networking_config=config,
                           host_config=low.create_host_config(network_mode="mine"))
assert low.inspect_container("box")["NetworkSettings"]["Networks"]["mine"]["Aliases"] == ["db", "store"]
low.start("box")
mine.reload()
assert [c.name for c in mine.containers] == ["box"]
endpoint = low.inspect_container("box")["NetworkSettings"]["Networks"]["mine"]
assert endpoint["NetworkID"] == mine.id and endpoint["IPAddress"] and endpoint["DNSNames"][:3] == ["box", "db", "store"]
other = client.containers.run("busybox", "sleep 1000", detach=True, name="other", network="mine")
while other.exec_run("ping -c 1 -W 2 store").exit_code:  # A first packet may be lost.
    assert time.time() < began + 120
assert "has active endpoints" in refused(403, mine.remove)

# connecting and disconnecting
assert "already exists in network" in refused(403, mine.connect, "box")
wide.connect("box", ipv4_address="10.90.5.77", aliases=["wide-box"], driver_opt={"a": "b"})
assert low.inspect_container("box")["NetworkSettings"]["Networks"]["wide"]["IPAddress"] == "10.90.5.77"
six.connect("box", ipv6_address="fd00:90::77")
assert low.inspect_container("box")["NetworkSettings"]["Networks"]["six"]["GlobalIPv6Address"] == "fd00:90::77"
refused(404, client.networks.get("mine").connect, "nosuch")
wide.disconnect("box")
assert "wide" not in low.inspect_container("box")["NetworkSettings"]["Networks"]
low.disconnect_container_from_network("box", six.id, force=True)
assert "is not connected to network" in refused(500, six.disconnect, "box")

# ports
web = client.containers.run("busybox", "sleep 1000", detach=True, name="web",
                            ports={"80/tcp": 8080, "81/tcp": ("127.0.0.1", 8081), "82/udp": [8082, 8083], "83/tcp": None})
web.reload()
assert web.ports["80/tcp"][0] == {"HostIp": "0.0.0.0", "HostPort": "8080"}, web.ports
assert web.ports["81/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8081"}]
assert {b["HostPort"] for b in web.ports["82/udp"]} == {"8082", "8083"}
assert int(web.ports["83/tcp"][0]["HostPort"]) > 1024
assert low.port("web", 80)[0]["HostPort"] == "8080"
summary = [p for c in low.containers(filters={"name": "web"}) for p in c["Ports"]]
assert {"IP": "127.0.0.1", "PrivatePort": 81, "PublicPort": 8081, "Type": "tcp"} in summary, summary
assert "port is already allocated" in refused(500, client.containers.run, "busybox", "true", ports={"80/tcp": 8080})

# links, hosts, hardware addresses, statistics
run = client.containers.run
assert b"1.2.3.4\tsome" in run("busybox", "cat /etc/hosts", remove=True, extra_hosts={"some": "1.2.3.4"})
assert b"linked" in run("busybox", "cat /etc/hosts", remove=True, links={"web": "linked"})
configs = {"mine": EndpointConfig(low._version, mac_address="02:42:ac:11:00:78")}
assert b"02:42:ac:11:00:78" in run("busybox", "cat /sys/class/net/eth0/address", remove=True, network="mine",
                                   networking_config=configs)
assert "rx_bytes" in web.stats(stream=False)["networks"]["eth0"]

# events and the end
seen = [e["Action"] for e in client.events(decode=True, since=began, until=int(time.time()) + 1,
                                           filters={"type": "network", "network": "wide"})]
assert seen[:3] == ["create", "connect", "disconnect"], seen
for name in "box", "other", "web":
    client.containers.get(name).remove(force=True)
for container in client.containers.list(all=True):
    container.remove(force=True)
assert sorted(client.networks.prune()["NetworksDeleted"]) == ["mine", "six", "wide"]
refused(404, client.networks.get, "mine")
print("docker-py on networks: all fine")
