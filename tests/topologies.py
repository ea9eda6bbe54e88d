"""Servers of every kind that a client may point to: one with TLS, a unix socket and users; Sentinel with a replica; a cluster of three masters."""

from __future__ import annotations

import datetime
import ipaddress
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .servers import RedisServer, free_port
from .world import World

SLOTS = 16384


@asynccontextmanager
async def world(colour: str, port: int, raw: Any = None) -> AsyncIterator[World]:
    """A world on the server of this port, looking at it through `raw`."""
    made = World(colour, port)
    if raw is not None:
        made.raw.close()
        made.raw = raw
    try:
        yield made
    finally:
        pools = [client.connection_pool for client in made.clients if hasattr(client, "connection_pool")]
        await made.close()
        for pool in pools:  # a pool that a test made is not its client's to close
            await made.do(pool.disconnect())


def wait_until(holds: Any, timeout: float = 15) -> Any:
    """Wait for a condition that other processes bring about; a server that does not answer yet is waited for, too."""
    end = time.monotonic() + timeout
    while True:
        try:
            if found := holds():
                return found
        except redis.RedisError:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"did not come true within {timeout} s")
        time.sleep(0.02)


# -- one server with everything --------------------------------------------------------------------------------------------------------


class Hub(RedisServer):
    """A server with a plain port, a TLS port (certificate for the address 127.0.0.1 alone, `ca` signed it) and a unix socket (`path`)."""

    def __init__(self, *options: str) -> None:
        super().__init__(*options)
        self.tls_port = free_port()
        self.path = os.path.join(self.folder, "redis.sock")
        self.ca, key, certificate = make_certificates(self.folder)
        self.options += (f"unixsocket {self.path}", f"tls-port {self.tls_port}", f"tls-cert-file {certificate}", f"tls-key-file {key}")
        self.options += (f"tls-ca-cert-file {self.ca}", "tls-auth-clients no")


def make_certificates(folder: str) -> tuple[str, str, str]:
    """Paths of a new authority's certificate, of a server's key, and of its certificate, which names the address 127.0.0.1 and no other."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, subject = name("streamio test authority"), name("redis")
    signing = x509.KeyUsage(False, False, False, False, False, True, False, False, False)  # Python 3.13 wants an authority to say so
    root = signed(issuer, issuer, authority, authority, x509.BasicConstraints(ca=True, path_length=None), signing)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = signed(subject, issuer, server, authority, address)
    pem = serialization.Encoding.PEM
    secret = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (
        written(folder, "ca.crt", root.public_bytes(pem)),
        written(folder, "server.key", secret),
        written(folder, "server.crt", leaf.public_bytes(pem)),
    )


def signed(subject: Any, issuer: Any, key: Any, by: Any, *extensions: Any) -> Any:
    """A certificate that is good for a day."""
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, subject == issuer)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
    return builder.sign(by, hashes.SHA256())


def name(common: str) -> Any:
    """A certificate's name."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def written(folder: str, file_name: str, content: bytes) -> str:
    """The path of a new file with this content."""
    path = os.path.join(folder, file_name)
    with open(path, "wb") as file:
        file.write(content)
    return path


# -- Sentinel --------------------------------------------------------------------------------------------------------------------------


class SentinelGroup:
    """A master, a replica of it, and a sentinel that watches them under the name `orders`."""

    name = "orders"

    def __init__(self) -> None:
        self.master = RedisServer("repl-diskless-sync-delay 0")
        self.replica = RedisServer(f"replicaof 127.0.0.1 {self.master.port}")
        self.sentinel = RedisServer(
            f"sentinel monitor {self.name} 127.0.0.1 {self.master.port} 1",
            f"sentinel down-after-milliseconds {self.name} 500",
            f"sentinel failover-timeout {self.name} 1000",
            arguments=["--sentinel"],
        )

    def start(self) -> SentinelGroup:
        """Start all three and wait until the sentinel knows the replica and the replica is in step."""
        for server in (self.master, self.replica, self.sentinel):
            server.start()
        wait_until(self.replica_is_in_step)
        return self

    def fail_over(self) -> None:
        """Let the replica become the master, and demote the old one as a sentinel does: it takes 10 s to come to that by itself."""
        with self.sentinel.client() as sentinel, self.master.client(protocol=2) as old:
            wait_until(lambda: is_copied(old.info("replication")))
            wait_until(lambda: self.is_over(sentinel), 45)
            old.replicaof("127.0.0.1", self.replica.port)
            old.client_kill_filter(_type="normal", skipme=True)
        self.master, self.replica = self.replica, self.master

    def is_over(self, sentinel: Any) -> bool:
        """Whether the replica is the master. Asks for it again, because a sentinel may give one up; while one is on, it refuses another."""
        if sentinel.sentinel_master(self.name)["port"] == self.replica.port:
            return True
        sentinel.execute_command("SENTINEL", "FAILOVER", self.name)
        return False

    def replica_is_in_step(self) -> bool:
        """Whether the one follows the other, and the sentinel knows both."""
        with self.replica.client() as replica, self.sentinel.client(decode_responses=True) as sentinel:
            known = sentinel.sentinel_master(self.name)["port"] == self.master.port and len(sentinel.sentinel_slaves(self.name)) == 1
            facts = replica.info("replication")
            return known and facts["role"] == "slave" and facts["master_link_status"] == "up" and facts["master_port"] == self.master.port

    def remove(self) -> None:
        """End all three."""
        for server in (self.sentinel, self.replica, self.master):
            server.remove()


def is_copied(master: dict[str, Any]) -> bool:
    """Whether the replica said that it has all that the master wrote. (Its link is up a second before the master sends it anything new.)"""
    return master["connected_slaves"] == 1 and master["slave0"]["state"] == "online" and master["slave0"]["offset"] == master["master_repl_offset"]


# -- Cluster ---------------------------------------------------------------------------------------------------------------------------


class Cluster:
    """Three masters, each with a third of the slots, who serve what they have also when another one is down."""

    options = ("cluster-enabled yes", "cluster-node-timeout 1500", "cluster-require-full-coverage no")
    nodes = 3

    def __init__(self) -> None:
        self.buses = [free_port() for _ in range(3)]
        self.servers = [RedisServer(*self.options, f"cluster-port {bus}") for bus in self.buses]
        self.ids: list[str] = []

    @property
    def port(self) -> int:
        """Any of the masters."""
        return self.servers[0].port

    def start(self) -> Cluster:
        """Start, make them one cluster, and wait until each of them says that it stands."""
        for server in self.servers:
            server.start()
        for place, server in enumerate(self.servers):
            first, last = place * SLOTS // 3, (place + 1) * SLOTS // 3 - 1
            self.ask(place, "CLUSTER", "ADDSLOTSRANGE", first, last)
            self.ask(place, "CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            self.ask(0, "CLUSTER", "MEET", "127.0.0.1", server.port, self.buses[place])
        self.wait()
        self.ids = [self.ask(place, "CLUSTER", "MYID") for place in range(3)]
        return self

    def wait(self) -> None:
        """Until each of them sees all three, and all slots served."""
        for place in range(3):
            wait_until(lambda place=place: "cluster_state:ok" in self.ask(place, "CLUSTER", "INFO"))
            wait_until(lambda place=place: self.ask(place, "CLUSTER", "NODES").count(" connected") == self.nodes)
            wait_until(lambda place=place: "fail" not in self.ask(place, "CLUSTER", "NODES"))

    def ask(self, place: int, *words: Any) -> Any:
        """One master's own answer, as text."""
        with redis.Redis(port=self.servers[place].port, decode_responses=True) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def keys_on(self, place: int, pattern: str) -> Any:
        """Keys made from the pattern ("…%d…") whose slots this master has, one after the other."""
        for number in range(10_000):
            key = pattern % number
            if self.ask(place, "CLUSTER", "KEYSLOT", key) * 3 // SLOTS == place:
                yield key

    def move(self, key: str, source: int, target: int) -> None:
        """Move the key's slot, with its keys, from one master to another."""
        slot = self.ask(source, "CLUSTER", "KEYSLOT", key)
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target])
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            self.ask(source, "MIGRATE", "127.0.0.1", self.servers[target].port, "", 0, 5000, "KEYS", *keys)
        for place in (target, source):
            self.ask(place, "CLUSTER", "SETSLOT", slot, "NODE", self.ids[target])

    def remove(self) -> None:
        """End all."""
        for server in self.servers:
            server.remove()


class ReplicatedCluster(Cluster):
    """The same, with a replica of the first master, which takes its place when it dies."""

    options = (*Cluster.options, "repl-diskless-sync-delay 0")

    def __init__(self) -> None:
        super().__init__()
        bus = free_port()
        self.replica = RedisServer(*self.options, f"cluster-port {bus}")
        self.replica_bus = bus

    def start(self) -> ReplicatedCluster:
        """Start all four, and wait until the replica is in step."""
        super().start()
        self.replica.start()
        self.ask(0, "CLUSTER", "MEET", "127.0.0.1", self.replica.port, self.replica_bus)
        with self.replica.client(decode_responses=True) as replica:
            wait_until(lambda: replica.execute_command("CLUSTER", "REPLICATE", self.ids[0]))
        self.nodes = 4
        self.wait_for_replica()
        return self

    def wait_for_replica(self) -> None:
        """Until the replica has all, and everybody knows everybody (an election wants that)."""
        self.wait()
        with self.replica.client(decode_responses=True) as replica:
            replica.response_callbacks.clear()
            wait_until(lambda: replica.execute_command("CLUSTER", "NODES").count(" connected") == self.nodes)
        with self.servers[0].client(protocol=2) as master:
            wait_until(lambda: is_copied(master.info("replication")))

    def kill_master(self) -> None:
        """Kill the first master and wait until its replica has taken its place; they have changed their parts then."""
        self.servers[0].kill()
        with self.replica.client(protocol=2) as replica:
            wait_until(lambda: replica.info("replication")["role"] == "master")
        self.servers[0], self.replica = self.replica, self.servers[0]

    def restore(self) -> None:
        """Start the one that was killed: it becomes the replica."""
        self.replica.start()
        self.ids = [self.ask(place, "CLUSTER", "MYID") for place in range(3)]
        self.wait_for_replica()

    def remove(self) -> None:
        """End all."""
        super().remove()
        self.replica.remove()
