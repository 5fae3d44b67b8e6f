"""MQTT over TLS with a real Mosquitto and an authority of our own: only the broker that was meant gets anything."""

from __future__ import annotations

import datetime
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from test_mqtt import wait_for

from crm_client_api.integrations.mqtt import Broker, MqttPublisher
from crm_client_api.stores import StorePool
from firmware.errors import ConfigError
from firmware.store.connection import open_store

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="Debian's mosquitto is not installed")


class Authority:
    """Signs certificates of servers."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._made(self._name, self._key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _made(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 2) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def certify(self, *names: str, days: int = 2) -> tuple[Path, Path]:
        """Files with a certificate for these names and addresses, and with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        told = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
        made = self._made(subject, key, days).add_extension(x509.SubjectAlternativeName(told), critical=False)
        files = self._folder / "server.pem", self._folder / "server.key"
        files[0].write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


class Encrypted:
    """A broker that speaks TLS to the box, and plainly to the test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, Authority(folder, "the-office")
        self.port, self.plain_port = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *names: str, days: int = 2) -> None:
        certificate, key = self.authority.certify(*names, days=days)
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"allow_anonymous true\nuser root\nlistener {self.plain_port} 127.0.0.1\n"
            f"listener {self.port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
        )
        for file in (self.folder, certificate, key):
            file.chmod(0o777)
        self._process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: _answers(self.port) and _answers(self.plain_port))

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def broker(self, **changes: object) -> Broker:
        values = {"host": "127.0.0.1", "port": self.port, "tls": True, "ca_file": str(self.authority.file),
                  "user": "", "password": "", "prefix": "office"}  # fmt: skip
        return Broker(**(values | changes))  # type: ignore[arg-type]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Encrypted]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    one = Encrypted(folder)
    yield one
    one.stop()


@pytest.fixture
def publish(home) -> Iterator[Callable[[Broker], MqttPublisher]]:
    pool = StorePool(home)
    running: list[MqttPublisher] = []

    def start(broker: Broker) -> MqttPublisher:
        running.append(MqttPublisher(pool, broker))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()
    pool.close()


@pytest.fixture
def got(encrypted: Encrypted) -> Iterator[Callable[[], list[tuple[str, bytes]]]]:
    """What the broker was given; asked for once it runs."""
    found: list[tuple[str, bytes]] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda one, *_given: one.subscribe("#", qos=1)
    client.on_message = lambda _client, _data, one: found.append((one.topic, one.payload))

    def begin() -> list[tuple[str, bytes]]:
        if not client.is_connected():
            client.connect("127.0.0.1", encrypted.plain_port)
            client.loop_start()
        return found

    yield begin
    client.disconnect()
    client.loop_stop()


def test_calls_arrive_over_tls(exchange, encrypted, publish, got):
    encrypted.start("127.0.0.1", "localhost")
    exchange.wire(1)
    found = got()
    publisher = publish(encrypted.broker())
    wait_for(lambda: ("office/status", b"online") in found)
    exchange.end(exchange.call(1, "13812345678"))
    wait_for(lambda: any(topic == "office/calls/1/call_ended" for topic, _ in found))
    said = json.loads(next(payload for topic, payload in found if topic == "office/calls/1/call_ended"))
    assert said["caller_number"] == "13812345678"
    assert publisher.connected
    plain = ssl.create_default_context(cafile=str(encrypted.authority.file))
    with (
        socket.create_connection(("127.0.0.1", encrypted.port)) as link,
        plain.wrap_socket(link, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() in ("TLSv1.2", "TLSv1.3")


def has_begun(exchange) -> bool:
    """Whether what happens from now on is kept for the broker."""
    crm = open_store(exchange.home.crm_db)
    found = crm.conn.execute("SELECT 1 FROM meta WHERE key = 'mqtt_position'").fetchone()
    crm.conn.close()
    return found is not None


@pytest.mark.parametrize("wrong", ["another authority", "those that the box trusts", "another name", "expired"])
def test_a_broker_that_cannot_show_who_it_is_gets_nothing(exchange, encrypted, publish, got, tmp_path, caplog, wrong):
    encrypted.start("broker.example" if wrong == "another name" else "127.0.0.1", days=-1 if wrong == "expired" else 2)
    other = tmp_path / "other"
    other.mkdir()
    ca_file = {
        "another authority": str(Authority(other, "somebody-else").file), "those that the box trusts": "",
    }.get(wrong, str(encrypted.authority.file))  # fmt: skip
    exchange.wire(1)
    found = got()
    publisher = publish(encrypted.broker(ca_file=ca_file))
    wait_for(lambda: has_begun(exchange))
    exchange.end(exchange.call(1, "13812345678"))
    wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
    assert not publisher.connected
    assert [topic for topic, _ in found if topic.startswith("office/")] == []
    assert caplog.text.count("cannot be used") == 1
    publisher.stop()
    if wrong == "another authority":  # put right, it gets what it missed
        publish(encrypted.broker())
        wait_for(lambda: any(topic == "office/calls/1/call_ended" for topic, _ in found))


def test_a_broker_without_tls_gets_nothing(exchange, encrypted, publish, got):
    encrypted.start("127.0.0.1")
    exchange.wire(1)
    found = got()
    publisher = publish(encrypted.broker(port=encrypted.plain_port))
    exchange.end(exchange.call(1, "13812345678"))
    wait_for(lambda: publisher._failure)
    assert not publisher.connected
    assert [topic for topic, _ in found if topic.startswith("office/")] == []


def test_a_file_of_authorities_that_is_none_is_told_at_once(encrypted, publish, tmp_path):
    """The daemon tries again by itself: the file may come later."""
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for file in (str(empty), str(tmp_path / "nowhere.pem")):
        with pytest.raises(ConfigError, match="authorities"):
            publish(encrypted.broker(ca_file=file))
