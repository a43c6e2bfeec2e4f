"""Buys from a running shop like its customers, and checks that everything adds up.

    synod test examples/shop/app.toml -- python3 examples/shop/smoke.py

Finds the shop in ORDER_URL. Prints a short report; exits with 0 if all is well and 1 if not.
"""

import collections
import json
import os
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"
ORDERS = 200
# A tenth of the payments goes to the next version: 20 of 200 on average. Fewer than 3 or more than
# 45 is less likely by chance than one in a million.
NEXT_MIN, NEXT_MAX = 3, 45

SHOP = os.environ.get("ORDER_URL", "").rstrip("/")


def ask(path, body=None):
    """Status and JSON of a GET, or of a POST if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SHOP + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def order(sku, quantity, card=GOOD_CARD, address="1 Main Street"):
    lines = [{"sku": sku, "quantity": quantity}]
    return ask("/api/orders", {"lines": lines, "card": card, "address": address})


def left(sku):
    return {good["sku"]: good["quantity"] for good in ask("/api/goods")[1]}[sku]


failures = []


def check(claim, holds, found=""):
    print(f"{'ok  ' if holds else 'FAIL'}  {claim}" + (f": {found}" if found != "" else ""))
    if not holds:
        failures.append(claim)


def check_page():
    with urllib.request.urlopen(SHOP + "/", timeout=20) as response:
        kind = response.headers.get_content_type()
        page = response.read().decode()
    check("the page is there", kind == "text/html" and "<title>The shop</title>" in page)


def check_good_order():
    before = left("sticker")
    status, placed = order("sticker", 3)
    outcome = (status, placed.get("state"), placed.get("reason") or placed.get("error"))
    check("an order is shipped", outcome == (201, "shipped", None), outcome)
    check("... and stock is down by as much", before - left("sticker") == 3)
    status, found = ask(f"/api/orders/{placed.get('id')}")
    check("... and it can be looked up", (status, found) == (200, placed))


def check_undone(claim, reason, **how):
    before = left("sticker")
    status, placed = order("sticker", 3, **how)
    outcome = (status, placed.get("state"), placed.get("reason"))
    check(claim, outcome == (201, "declined", reason), outcome)
    check("... and its goods are back", left("sticker") == before)


def check_refusals():
    status, answer = order("unicorn", 1)
    refused = status == 422 and "unicorn" in answer["error"]
    check("an unknown good is refused", refused, answer["error"])
    status, answer = order("sticker", 0)
    check("an order of nothing is refused", status == 422, answer["error"])
    quantity = left("lamp") + 1
    status, answer = order("lamp", quantity)
    declined = (status, answer.get("state")) == (201, "declined")
    check("more than there is is declined", declined, answer.get("reason"))


def check_split():
    before = left("sticker")
    with ThreadPoolExecutor(max_workers=8) as pool:
        placed = [answer for _, answer in pool.map(lambda _: order("sticker", 1), range(ORDERS))]
    states = collections.Counter(answer.get("state", answer.get("error")) for answer in placed)
    all_shipped = states == {"shipped": ORDERS}
    check(f"{ORDERS} orders, 8 at a time, are all shipped", all_shipped, dict(states))
    check("... and stock is down by as many", before - left("sticker") == ORDERS)
    versions = collections.Counter(answer.get("paid_by") for answer in placed)
    known = set(versions) <= {"stable", "next"}
    split = known and NEXT_MIN <= versions["next"] <= NEXT_MAX
    check("about a tenth is paid by the next version", split, dict(versions))


def main():
    if not SHOP:
        sys.exit("set ORDER_URL to the shop, or run me with `synod test`")
    try:
        check_page()
        check_good_order()
        check_undone("a declined card is declined", "the card was declined", card=DECLINED_CARD)
        check_undone("a parcel without address too", "there is no address to ship to", address="")
        check_refusals()
        check_split()
    except (OSError, ValueError, KeyError) as error:
        check("the shop answers", False, repr(error))
    print(f"{len(failures)} failed" if failures else "all is well")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
