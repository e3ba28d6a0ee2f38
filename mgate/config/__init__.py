"""The configuration: one frozen tree, read once at start from one TOML file.

What lives here: every setting with its type, default and allowed values (`tree`, said in the words of `kinds`), the
reading of the file (`reading`), the profiles of operators (`operators`, a file each), what to say when it is wrong
(`mistakes`), and what a running daemon can take up of another one (`changes`). What does not: the content of the other
files that it names. Passwords and keys are file names here, never values.

Two rules keep it so. Nobody else reads the configuration file or the environment. And every mistake is found in one go
and names file, section, key and what is allowed, so that an operator mends the file once.

Neither Twisted nor the spool is known here: the command line reads the same tree without a daemon.
"""

from mgate.config.changes import Change, When, differences, taken_up
from mgate.config.kinds import Loopback, Plain, UnixSocket, read_span, show_size, show_span
from mgate.config.mistakes import ConfigError, Mistake
from mgate.config.operator_reading import read_profile
from mgate.config.operators import GENERIC, Profile
from mgate.config.reading import Setting, changed, find_config, read, settings
from mgate.config.sources import CoreSource, SourceCall
from mgate.config.tree import (
    LOCAL,
    Admin,
    Config,
    Instance,
    Keys,
    Log,
    Metrics,
    Push,
    PushClient,
    Retention,
    Sms,
    Spool,
)
from mgate.config.webhooks import Webhook

__all__ = [
    "GENERIC",
    "LOCAL",
    "Admin",
    "Change",
    "Config",
    "ConfigError",
    "CoreSource",
    "Instance",
    "Keys",
    "Log",
    "Loopback",
    "Metrics",
    "Mistake",
    "Plain",
    "Profile",
    "Push",
    "PushClient",
    "Retention",
    "Setting",
    "Sms",
    "SourceCall",
    "Spool",
    "UnixSocket",
    "Webhook",
    "When",
    "changed",
    "differences",
    "find_config",
    "read",
    "read_profile",
    "read_span",
    "settings",
    "show_size",
    "show_span",
    "taken_up",
]
