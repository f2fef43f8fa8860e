"""Requests as they come from outside: what may be let in. Pure. The rack refuses what it cannot grant."""

from appliance.requests import Learn, Offer, PlantAct, Request

LONGEST = {"who": 85, "why": 200, "comment": 200, "channel": 80, "sensor": 80, "message": 200}
"""Characters of each text; they go into events, the log and topics. who: 80, and `mqtt:` before it."""
LARGEST_DELTA = 65_536
_MAY_BE_EMPTY = {"comment", "sensor"}


def unfit(request: Request | Learn | Offer | PlantAct) -> str:
    """What is wrong with the texts of a request, or the size of what it carries; "" if nothing."""
    if isinstance(request, Offer) and len(request.delta) > LARGEST_DELTA:
        found = f"delta has {len(request.delta)} bytes; expected {LARGEST_DELTA} at most"
        return f"{found}; install it at the machine"
    texts = ((name, getattr(request, name, None)) for name in LONGEST)
    return next((fault for name, text in texts if text is not None and (fault := _fault(name, text))), "")


def _fault(name: str, text: str) -> str:
    if len(text) > LONGEST[name]:
        return f"{name} has {len(text)} characters; expected {LONGEST[name]} at most; shorten it"
    if not text.isprintable():
        return f"{name} is {text!a}; expected text that can be printed, on one line; write it anew"
    if not text.strip() and name not in _MAY_BE_EMPTY:
        return f"{name} is empty; expected it in words; say it"
    return ""
