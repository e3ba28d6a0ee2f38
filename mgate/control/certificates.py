"""The admin API's view of certificates."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mgate.control.certificate_views import CertificatesView
from mgate.net.exchange import JSON, Request
from mgate.net.routing import Route


class CertificateHatch:
    """Answers ``/v1/certificates``. ``view`` says what ends when; it is called on the reactor's thread."""

    def __init__(self, view: Callable[[], CertificatesView]) -> None:
        self._view = view

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of certificates."""
        return (Route("GET", "/v1/certificates", self.certificates),)

    def certificates(self, request: Request) -> None:
        """GET /v1/certificates."""
        request.reply(200, msgspec.json.encode(self._view()), JSON)
