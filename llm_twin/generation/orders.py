"""Telling texts that give orders to a language model from texts that inform a reader.

The patterns are about how such orders are worded, in English. They are one layer of several: an
order that they miss is still only quoted, never obeyed, by an extractive answer.
"""

import re
from typing import Final

_RULES: Final = (
    r"(?:instructions?|prompts?|rules|guidelines|polic(?:y|ies)|directions|training|context"
    r"|messages?)"
)
_TEXTS: Final = r"(?:prompts?|instructions?|messages?|rules)"
_EARLIER: Final = r"(?:your|my|previous|prior|above|earlier|preceding|foregoing|initial|original)"
_DROP: Final = r"(?:ignore|disregard|forget|override|bypass|skip|violate|break)"
_HIDDEN: Final = (
    r"(?:system|hidden|secret|initial|internal|developer|original|confidential|underlying)"
)
_TELL: Final = (
    r"(?:print|repeat|reveal|show|output|display|tell|translate|recite|leak|summari[sz]e|write|give"
    r"|list|copy|quote|paste|echo|return|encode|describe|what (?:is|are|was|were))"
)
_EXACTLY: Final = r"\b(?:word for word|verbatim|exactly)\b"
_ROLES: Final = (
    r"\b(?:assistant|model|AI|DAN|mode|no rules|unrestricted|unfiltered|uncensored|jailbroken|evil"
    r"|free)\b"
)
_WORDS: Final = r"(?:\W+\w+)"
_SHAPES: Final = (
    rf"\b{_DROP}\b{_WORDS}{{0,4}}?\W+{_EARLIER}\b{_WORDS}{{0,3}}?\W+{_RULES}\b",
    rf"\b{_DROP}\b\W+(?:all|any|every|the)\W+(?:\w+\W+){{0,2}}?(?:passages|documents|sources)\b",
    rf"\b{_TELL}\b{_WORDS}{{0,6}}?\W+(?:your|the)\W+(?:\w+\W+){{0,2}}?{_HIDDEN}\W+{_TEXTS}\b",
    rf"\b{_TELL}\b{_WORDS}{{0,4}}?\W+your\W+(?:own\W+)?(?:instructions|prompt|guidelines)\b",
    rf"\byour\W+{_HIDDEN}\W+{_TEXTS}\b",
    rf"\b(?:text|words?|lines?|everything|sentence){_WORDS}{{0,2}}?\W+above\b(?=.*{_EXACTLY})",
    rf"\byou are now\b(?=.*{_ROLES})",
    rf"\b(?:act|behave|respond|answer)\s+as\s+(?:an?\s+)?{_ROLES}",
    r"\bpretend\s+(?:to be|that you are|you are)\b",
    r"\b(?:do anything now|jailbreak|developer mode)\b",
    r"^\W*(?:system|assistant|developer)\s*:",
    rf"\b(?:reply|respond|answer)\b{_WORDS}{{0,6}}?\W+with\W+(?:only\W+)?the\W+words?\b",
    r"\bwhen(?:ever)?\s+you\s+are\s+asked\b",
    rf"\b(?:language model|AI assistant|chatbot)s?\b{_WORDS}{{0,4}}?\W+(?:must|should|shall)\b",
)
_ORDERS: Final = re.compile("|".join(_SHAPES), re.IGNORECASE | re.DOTALL)


_PRIVATE: Final = re.compile(
    r"\b(?:(?:home |private |e-?mail |postal )address|address of (?:the |an? )?(?:author|user"
    r"|person|writer|wom[ae]n|m[ae]n|child)|'s (?:\w+ )?(?:address|age|weight)"
    r"|(?:tele)?phone number|mobile number|e-?mail of|passwords?|passcode|account number"
    r"|(?:bank|credit|debit) (?:account|card)|salary|earns?|mortgage|debts?|ill|illness(?:es)?"
    r"|diseases?|diagnosis|blood type|married|divorced|affair|pregnant|religious|political views?"
    r"|sexual\w*|birthday|secret about|where (?:\w+ )?(?:does|do|did|is) .*\b(?:lives?|living)"
    r"|(?:private|secret|encryption) key|key of (?:your|his|her|their))\b",
    re.IGNORECASE,
)


def asks_private(text: str) -> bool:
    """Tell whether a question asks for what is private, or gives access to something.

    It may still be answered, where the documents tell it plainly.
    """
    return _PRIVATE.search(text) is not None


def gives_orders(text: str) -> bool:
    """Tell whether a text tries to command a language model, or asks for its instructions."""
    return _ORDERS.search(text) is not None
