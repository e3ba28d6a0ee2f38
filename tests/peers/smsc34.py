"""An operator on the PyPI package `smpp34` (a codec and server in Rust): what comes, by its lights, a line of JSON.

`python smsc34.py PORT` prints {"listening": PORT} when it does. Texts are decoded by `gsm0338`. Receipts are text, on
any bind of the client; numbers that end in 66 are refused, those in 77 not delivered.
"""

import asyncio
import codecs
import json
import sys
from itertools import count

import gsm0338
import smpp34

ESME_RINVDSTADR = 0x0B
NUMBERS = count(1)
GSM = gsm0338.Codec()


def decoded(submit: smpp34.SubmitSmEvent) -> dict[str, object]:
    octets, header = submit.short_message, b""
    if submit.esm_class & 0x40:
        header, octets = octets[: octets[0] + 1], octets[octets[0] + 1 :]
    text = codecs.decode(octets, "utf-16-be") if submit.data_coding == 8 else GSM.decode(octets)[0]
    return {"to": submit.destination_addr, "from": submit.source_addr, "udh": header.hex(), "text": text}


async def report(binds: dict[str, smpp34.Esme], submit: smpp34.SubmitSmEvent, message_id: str) -> None:
    esme = next(iter(binds.values()))
    failed = submit.destination_addr.endswith("77")
    word = "UNDELIV" if failed else "DELIVRD"
    text = (
        f"id:{message_id} sub:001 dlvrd:{'000' if failed else '001'} submit date:2611220549 done date:2611220550 "
        f"stat:{word} err:{'011' if failed else '000'} text:"
    )
    told = await esme.deliver_sm(
        submit.source_addr, text.encode(), source_addr=submit.destination_addr, source_addr_ton=1, source_addr_npi=1,
        dest_addr_ton=submit.source_addr_ton, dest_addr_npi=submit.source_addr_npi, esm_class=4,
    )  # fmt: skip
    print(json.dumps({"acknowledged": told.command_status}), flush=True)


async def answer(binds: dict[str, smpp34.Esme], submit: smpp34.SubmitSmEvent) -> None:
    refused = submit.destination_addr.endswith("66")
    print(json.dumps(decoded(submit) | {"refused": refused}), flush=True)
    if refused:
        submit.reject(ESME_RINVDSTADR)
        return
    message_id = f"rust-{next(NUMBERS):06d}"
    submit.accept(message_id)
    await report(binds, submit, message_id)


async def main(port: int) -> None:
    server = smpp34.Server("127.0.0.1", port, system_id="operator")
    await server.start()
    print(json.dumps({"listening": port}), flush=True)
    binds: dict[str, smpp34.Esme] = {}
    tasks: set[asyncio.Task[None]] = set()
    while True:
        event = await server.next()
        if isinstance(event, smpp34.SubmitSmEvent):
            task = asyncio.create_task(answer(binds, event))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        elif isinstance(event, smpp34.Esme):
            binds[event.session_id] = event
        else:
            binds.pop(event.session_id, None)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
