"""`visage serve --https`: a certificate made here, and how a phone finds the server.

A browser gives the camera to pages over HTTPS only (but for this computer). A certificate that others vouch for
needs a public name and a connection to outside; at home there is neither. So the server vouches for itself, and a
browser warns once a device.
"""

from __future__ import annotations

import ipaddress
import ssl
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ifaddr
import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from visage import durable
from visage.api.wire.security import ANYWHERE, in_ascii, is_loopback, own_names
from visage.errors import InstallationError

CERTIFICATE_FILE = "https.crt"
_KEY_FILE = "https.key"
_VALID_DAYS = 397  # browsers refuse longer ones
_RENEW_DAYS = 30
_VIRTUAL = ("docker", "br-", "veth", "virbr", "vmnet", "podman", "cni", "tun", "utun", "tailscale", "wg")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files, readable by their owner only."""

    certificate_path: Path
    key_path: Path


def ensure_certificate(data_dir: Path, hosts: Sequence[str], now: datetime | None = None) -> Certificate:
    """The certificate in a data directory; made anew where there is none, it is about to expire, or it does not name
    all the hosts (names and IP addresses).

    Raises:
        InstallationError: the directory cannot be written.
    """
    now = now or datetime.now(UTC)
    certificate = Certificate(data_dir / CERTIFICATE_FILE, data_dir / _KEY_FILE)
    try:
        if not _usable(certificate, hosts, now):
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(certificate, hosts, now)
    except OSError as exc:
        raise InstallationError(f"The data directory cannot be written: {exc.strerror}") from exc
    return certificate


def hosts_of(host: str) -> list[str]:
    """Every name and address by which a server that is bound to `host` may be called."""
    names = ["localhost", "127.0.0.1", "::1"]
    names += [*sorted(own_names()), *lan_addresses()] if host in ANYWHERE else [in_ascii(host) or host]
    return list(dict.fromkeys(names))


def lan_addresses() -> list[str]:
    """The IPv4 addresses of this computer that others can use, likeliest first: those of virtual networks last."""
    found: list[tuple[bool, str]] = []
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            if isinstance(each.ip, str):
                address = ipaddress.ip_address(each.ip)
                if not (address.is_loopback or address.is_link_local):
                    found.append((adapter.nice_name.startswith(_VIRTUAL), each.ip))
    return [address for _, address in sorted(found, key=lambda item: item[0])]


def reachable_at(bound: Iterable[tuple[str, int]], scheme: str) -> list[str]:
    """The addresses to type into a browser, of sockets that are bound; those of other devices first."""
    addresses = []
    for host, port in bound:
        hosts = [*lan_addresses(), "127.0.0.1"] if host in ANYWHERE else [host]
        addresses += [f"{scheme}://{f'[{each}]' if ':' in each else each}:{port}" for each in hosts]
    return list(dict.fromkeys(addresses))


def print_invitation(address: str) -> None:
    """Print the address, to scan with a phone."""
    if not is_loopback(address.split("//")[1].rpartition(":")[0].strip("[]")):
        segno.make(address, error="m").terminal(sys.stdout, compact=True)
    sys.stdout.write(
        f"Open {address} on a phone or tablet in the same network. Its browser will warn once: no authority outside "
        "this house vouches for the certificate, this computer made it itself.\n"
    )
    sys.stdout.flush()


def _usable(certificate: Certificate, hosts: Sequence[str], now: datetime) -> bool:
    if not (certificate.certificate_path.exists() and certificate.key_path.exists()):
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.certificate_path, certificate.key_path)
        loaded = x509.load_pem_x509_certificate(certificate.certificate_path.read_bytes())
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, ssl.SSLError, x509.ExtensionNotFound):
        return False
    known = {str(each.value) for each in names}
    fresh = loaded.not_valid_before_utc <= now <= loaded.not_valid_after_utc - timedelta(days=_RENEW_DAYS)
    return fresh and known.issuperset(hosts)


def _make(certificate: Certificate, hosts: Sequence[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Visage, made by this computer itself")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a phone's clock may be late
        .not_valid_after(now + timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    durable.replace(certificate.key_path, pem)
    durable.replace(certificate.certificate_path, signed.public_bytes(serialization.Encoding.PEM))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
