"""What an operator's answer or receipt means, in words that can be read to a customer, and whose matter it is. Pure.

A status of SMPP is said by its name, whose meaning is fixed (SMPP 3.4, section 5.1.3), and so is a receipt's state
(appendix B). The number after ``err:`` is the operator's own; most use those of the network (3GPP TS 29.002, 17.6.6) or
of a large aggregator, so of a number we say what it *usually* means.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from mgate.policy.step import THROTTLED_BY


class Fault(Enum):
    """Whose matter it is that a message came late, or not."""

    NOBODY = "nobody"
    BANK = "the bank"
    MGATE = "mgate"
    OPERATOR = "the operator"
    HANDSET = "the handset"
    BEYOND = "the operator or the handset"


class Meaning(NamedTuple):
    """``words`` follow "because" or "it said that"."""

    words: str
    fault: Fault


_BANK, _MGATE, _OPERATOR, _HANDSET = Fault.BANK, Fault.MGATE, Fault.OPERATOR, Fault.HANDSET

_STATUSES: Final[dict[str, Meaning]] = {
    "ESME_RINVMSGLEN": Meaning("the text is too long for it", _MGATE),
    "ESME_RINVBNDSTS": Meaning("the connection may not send", _MGATE),
    "ESME_RSYSERR": Meaning("its system had an error", _OPERATOR),
    "ESME_RINVSRCADR": Meaning("it does not allow the sender's name", _BANK),
    "ESME_RINVDSTADR": Meaning("it cannot send to this number", _BANK),
    "ESME_RINVMSGID": Meaning("it did not like the message's id", _MGATE),
    "ESME_RMSGQFUL": Meaning("its queue was full", _OPERATOR),
    "ESME_RINVSERTYP": Meaning("it does not allow the service type of our account", _MGATE),
    "ESME_RINVDESTFLAG": Meaning("it did not like the form of the number", _MGATE),
    "ESME_RINVSUBREP": Meaning("it did not like a field of ours", _MGATE),
    "ESME_RINVESMCLASS": Meaning("it did not like the kind of message", _MGATE),
    "ESME_RSUBMITFAIL": Meaning("it could not take the message", _OPERATOR),
    "ESME_RINVSRCTON": Meaning("it did not like how the sender's name is written", _MGATE),
    "ESME_RINVSRCNPI": Meaning("it did not like how the sender's name is written", _MGATE),
    "ESME_RINVDSTTON": Meaning("it did not like how the number is written", _MGATE),
    "ESME_RINVDSTNPI": Meaning("it did not like how the number is written", _MGATE),
    "ESME_RINVSYSTYP": Meaning("it does not allow the system type of our account", _MGATE),
    "ESME_RTHROTTLED": Meaning("we were sending faster than it allows at that moment", _OPERATOR),
    "ESME_RINVSCHED": Meaning("it did not like the time of sending", _MGATE),
    "ESME_RINVEXPIRY": Meaning("it did not like the time until which the message holds", _MGATE),
    "ESME_RX_T_APPN": Meaning("it could not take the message just then", _OPERATOR),
    "ESME_RX_P_APPN": Meaning("it will not take this message, and gave no better reason", _OPERATOR),
    "ESME_RX_R_APPN": Meaning("it refused the message, and gave no better reason", _OPERATOR),
    "ESME_RINVPARLEN": Meaning("it did not like the length of a field", _MGATE),
    "ESME_RDELIVERYFAILURE": Meaning("it could not deliver the message", _OPERATOR),
    "ESME_RUNKNOWNERR": Meaning("something went wrong there that it has no name for", _OPERATOR),
}

_STATES: Final[dict[str, Meaning]] = {
    "DELIVRD": Meaning("the phone has it", Fault.NOBODY),
    "EXPIRED": Meaning("the phone could not be reached for as long as it was tried", _HANDSET),
    "DELETED": Meaning("it was deleted at the operator before the phone got it", _OPERATOR),
    "UNDELIV": Meaning("it could not be delivered to the phone", Fault.BEYOND),
    "REJECTD": Meaning("the operator or the mobile network rejected it", _OPERATOR),
    "FAILED": Meaning("it could not be delivered to the phone", Fault.BEYOND),
    "SKIPPED": Meaning("the operator left it out", _OPERATOR),
    "UNKNOWN": Meaning("the operator does not know what became of it", _OPERATOR),
}
_LIKE: Final = {
    "DELIVERED": "DELIVRD", "UNDELIVERED": "UNDELIV", "UNDELIVERABLE": "UNDELIV", "REJECTED": "REJECTD",
}  # fmt: skip

_NETWORK: Final[dict[int, Meaning]] = {
    1: Meaning("the number is not in use", _BANK),
    5: Meaning("the network does not know the subscriber", _BANK),
    6: Meaning("the phone was switched off or out of reach", _HANDSET),
    7: Meaning("the network does not know the phone", _HANDSET),
    8: Meaning("the phone is abroad, in a network where it may not be used", _HANDSET),
    9: Meaning("the subscription does not allow it", _HANDSET),
    10: Meaning("the subscription has no such service", _HANDSET),
    11: Meaning("the subscription cannot get text messages", _HANDSET),
    12: Meaning("the phone is barred from the network", _HANDSET),
    13: Meaning("the subscription is barred", _HANDSET),
    20: Meaning("a service of the subscription stands against it", _HANDSET),
    21: Meaning("the network or the phone cannot do it", _HANDSET),
    24: Meaning("there was no room on the radio network", _OPERATOR),
    27: Meaning("the phone was switched off or out of reach", _HANDSET),
    31: Meaning("the phone was busy with another message", _HANDSET),
    32: Meaning("the phone did not take it, often because its memory is full", _HANDSET),
    33: Meaning("too many messages wait for the phone already", _HANDSET),
    34: Meaning("the mobile network had an error", _OPERATOR),
    35: Meaning("the mobile network missed a field", _OPERATOR),
    36: Meaning("the mobile network did not like a value", _OPERATOR),
    51: Meaning("the mobile network had no room", _OPERATOR),
    255: Meaning("the operator has no name for what went wrong", _OPERATOR),
    256: Meaning("the memory of the phone is full", _HANDSET),
    257: Meaning("the phone did not understand the message", _HANDSET),
    258: Meaning("the phone cannot get text messages", _HANDSET),
    260: Meaning("the message centre of the operator was overloaded", _OPERATOR),
    502: Meaning("the mobile network did not answer", _OPERATOR),
    573: Meaning("the customer has blocked this sender", _HANDSET),
    581: Meaning("the customer's account has no credit", _HANDSET),
}

_OURS: Final[dict[str, Meaning]] = {
    "response_timeout": Meaning("no answer came in time", _OPERATOR),
    "link_lost": Meaning("the connection broke before the answer came", _OPERATOR),
    "nonsense_answer": Meaning("the operator's answer could not be read", _OPERATOR),
    "crash": Meaning("mgate stopped before it had written down the answer", _MGATE),
    "not_written": Meaning("it never left mgate", _MGATE),
    "life_over": Meaning("its life was over", _MGATE),
    "no_bind": Meaning("no connection of the route before was open", _OPERATOR),
    "no_answers": Meaning("the operator of the route before answered nothing any more", _OPERATOR),
    "account_gone": Meaning("the route before was taken out of the configuration", _MGATE),
    "sibling_failed": Meaning("another part of the same message had failed", _OPERATOR),
}
_NOT_WRITTEN: Final[dict[str, Meaning]] = {
    "bind_not_open": Meaning("the connection was not open any more", _OPERATOR),
    "session": Meaning("the connection was not open any more", _OPERATOR),
    "link_lost": Meaning("the connection broke just before", _OPERATOR),
    "response_timeout": Meaning("the connection was given up just before", _OPERATOR),
    "life_over": Meaning("its life was over", _MGATE),
    "damaged_record": Meaning("its record on our disk was damaged", _MGATE),
    "operator_lacks_a_letter": Meaning("the operator has no letter that the text needs", _MGATE),
    "parts_do_not_fit_text": Meaning("the text needs another number of parts at this operator", _MGATE),
}


def of_answer(reason: str) -> Meaning:
    """A reason of ours, or the name of a status as it stands in an attempt."""
    if reason.startswith(THROTTLED_BY):
        return _STATUSES["ESME_RTHROTTLED"]
    name = reason.removeprefix("later ").removeprefix("generic_nack ")
    if name.startswith("blocked_subscriber "):
        return Meaning("the customer has blocked such messages", _HANDSET)
    return _OURS.get(name) or _STATUSES.get(name) or Meaning("it had a reason that only it can explain", _OPERATOR)


def of_not_written(reason: str) -> Meaning | None:
    """Why a try came to nothing without asking the operator; None when the reason is the operator's."""
    return _NOT_WRITTEN["session"] if reason.startswith("session ") else _NOT_WRITTEN.get(reason)


def of_receipt(reason: str) -> Meaning:
    """The state and error of a receipt of failure, such as ``UNDELIV err:011``."""
    if not reason:
        return Meaning("it could not be delivered, without saying why", Fault.BEYOND)
    reason, only, part = reason.partition(" partial: told of ")
    if only:
        told = of_receipt(reason)
        return Meaning(f"{told.words}; it told of {part}, and that is taken to hold for all", told.fault)
    word, _, error = reason.partition(" err:")
    state = _STATES.get(_LIKE.get(word, word))
    words = state.words if state else "something that only the operator can explain"
    fault = state.fault if state else _OPERATOR
    if fault is Fault.NOBODY or not error:
        return Meaning(words, fault)
    usual = _NETWORK.get(int(error)) if error.isascii() and error.isdigit() else None
    if usual is None:
        return Meaning(f"{words}, with the operator's own error {error}", fault)
    return Meaning(f"{words}; its error {error} usually means that {usual.words}", usual.fault)
