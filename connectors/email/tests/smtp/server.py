"""A mail server for tests: aiosmtpd, with an answer for every case.

Usage: server.py OUT CERTIFICATE KEY MODE ["auth"]
MODE is starttls, implicit or plain. Prints the port it listens on; ends when its input does.
What it takes goes to OUT, one JSON object a line.
"""

import asyncio
import json
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

out, certificate, key, mode = sys.argv[1:5]
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)
connections = {}
leaving = {}


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b"relay", b"s3cret")
    # Only an attempt that is not "handled" is answered with 535.
    return AuthResult(success=right, handled=False)


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if leaving.get(session.peer) == "leave@":
            return "421 4.4.2 idle for too long"
        if leaving.get(session.peer) == "drop@":
            server.transport.abort()
        if address.startswith("nobody@"):
            return "550 5.7.1 you may not send as that"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        asked = re.match(r"code(\d)(\d\d)@", address)
        if asked:
            return f"{asked[1]}{asked[2]} {asked[1]}.1.1 as asked"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("hang@") for address in envelope.rcpt_tos):
            await asyncio.sleep(3600)
        if any(address.startswith("later@") for address in envelope.rcpt_tos):
            return "451 4.3.0 try later"
        slow = any(address.startswith("slow") for address in envelope.rcpt_tos)
        await asyncio.sleep(0.1 * slow)
        mail = {
            "connection": connections.setdefault(session.peer, len(connections) + 1),
            "tls": session.ssl is not None or mode == "implicit",
            "user": bool(session.authenticated),
            "helo": session.host_name,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.original_content.decode("utf8"),
        }
        with open(out, "a") as file:
            file.write(json.dumps(mail) + "\n")
        await asyncio.sleep(0.1 * slow)
        # What a server does with a connection that lies idle, the next time it is used.
        for way in ("leave@", "drop@"):
            if any(address.startswith(way) for address in envelope.rcpt_tos):
                leaving[session.peer] = way
        return "250 queued"


def protocol():
    return SMTP(
        Handler(),
        tls_context=tls if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate,
        auth_required="auth" in sys.argv[5:],
        auth_require_tls=mode == "starttls",
        enable_SMTPUTF8=True,
        hostname="mail.test",
    )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        protocol, "127.0.0.1", 0, ssl=tls if mode == "implicit" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
