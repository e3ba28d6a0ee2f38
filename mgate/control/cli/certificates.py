"""The command for certificates."""

from __future__ import annotations

import sys

import click

from mgate.control import tables
from mgate.control.asked import Asked
from mgate.control.certificate_views import CertificatesView
from mgate.control.cli.root import FAILED, common


@click.command()
@common
@click.pass_obj
def certificates(asked: Asked) -> None:
    """Show what ends when: our certificates, authorities, revocation lists, and peers as they were last seen.

    Exit status 1 when something has ended or a file is wrong.
    """
    view = asked.daemon().get("/v1/certificates", CertificatesView)
    asked.say(view, tables.certificate_table(view.certificates))
    for problem in view.problems:
        asked.note(problem)
    if not view.certificates:
        asked.note("no TLS is configured: see [tls.NAME] in the configuration")
    if view.problems or any(row.days_left is not None and row.days_left < 0 for row in view.certificates):
        sys.exit(FAILED)
