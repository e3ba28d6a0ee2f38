"""The command for evidence of a message."""

from __future__ import annotations

from pathlib import Path

import click

from mgate.control.asked import Asked
from mgate.control.cli.root import Failure, common
from mgate.control.evidence import EvidenceView, Head, check_document
from mgate.control.reckoned import SignedFile, public_key
from mgate.model.message import read_id
from mgate.seal.errors import SealError
from mgate.seal.signature import read_pem


@click.command()
@common
@click.argument("wanted", metavar="ID|verify")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--to", metavar="FILE", type=click.Path(path_type=Path), help="Where the signed file goes.")
@click.option("--key", metavar="FILE.pem", type=click.Path(path_type=Path), help="The public key, to verify by.")
@click.pass_obj
def evidence(asked: Asked, wanted: str, file: Path | None, to: Path | None, key: Path | None) -> None:
    """Write a signed file of all that is known of a message, for a dispute; or verify one.

    Say "evidence ID --to FILE", or "evidence verify FILE [--key FILE.pem]". The public key is printed by "mgatectl
    reconcile --public-key"; with --key no daemon is needed.
    """
    if wanted == "verify" and file is not None and to is None:
        head = _verified(asked, file, key)
        asked.say(head, f"{file}: signed by {head.instance} at {head.made_at}: {head.message}, {head.state}")
    elif read_id(wanted) is not None and to is not None and file is None and key is None:
        head = _made(asked, wanted.lower(), to)
        asked.say(head, f"{to}: {head.message}, {head.state}, signed by {head.instance}")
    else:
        raise click.UsageError('say "ID --to FILE", ID the letter m and 13 letters and digits, or "verify FILE"')


def _made(asked: Asked, message: str, to: Path) -> Head:
    view = asked.daemon().get(f"/v1/messages/{message}/evidence", EvidenceView)
    with SignedFile(to, "--to") as file:
        for line in view.document.encode().splitlines():
            file.write(line)
    return _verified(asked, to, None)


def _verified(asked: Asked, path: Path, key: Path | None) -> Head:
    try:
        return check_document(path, read_pem(key.read_text("utf-8")) if key else public_key(asked.daemon()))
    except SealError as error:
        raise Failure(f"{path}: {error}", "not_signed", asked.as_json) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: cannot be read: {error}", "result", asked.as_json) from error
