"""mgatectl: the command line. It asks the daemon over the admin socket and shows what it says.

Only this folder knows click. Exit status: 0 done, 1 refused or failed, 2 usage, 3 the daemon cannot be reached. Tables
go to stdout, notes and progress to stderr; ``--json`` puts one JSON object on stdout, and an error as one on stderr.
"""

from mgate.control.cli import (
    certificates,
    drops,
    messages,
    operators,
    reckoning,
    routes,
    service,
    settings,
    sources,
    texts,
    traces,
    webhooks,
)
from mgate.control.cli.root import main

__all__ = ["main"]

service.bind.add_command(traces.bind_trace)

for command in (
    settings.init,
    settings.config,
    settings.version,
    service.status,
    service.queue,
    service.feeds,
    service.reload,
    service.bind,
    routes.route,
    operators.operator,
    certificates.certificates,
    sources.source,
    drops.drop,
    webhooks.webhook,
    reckoning.reconcile,
    texts.text,
    texts.guard,
    messages.message,
    messages.send,
    messages.push,
):
    main.add_command(command)
