"""Fills the shop's shelves: a task, which runs once and is done.

Goods that are there already are left as they are, so running it again undoes no sale.
"""

import json
import os
import time
import urllib.error
import urllib.request

GOODS = [
    # sku, title, price in cents, how many
    ("lamp", "Desk lamp, brass", 6_900, 12),
    ("mug", "Mug, stoneware", 1_450, 40),
    ("notebook", "Notebook, dotted, A5", 1_200, 80),
    ("sticker", "Sticker, round", 150, 1_000_000),
    ("tea", "Green tea, 100 g", 890, 60),
]


def put_unless_there(stock_url, sku, good):
    request = urllib.request.Request(
        f"{stock_url.rstrip('/')}/goods/{sku}",
        method="PUT",
        data=json.dumps(good).encode(),
        headers={"Content-Type": "application/json", "If-None-Match": "*"},
    )
    try:
        urllib.request.urlopen(request, timeout=5).close()
        return "added"
    except urllib.error.HTTPError as error:
        if error.code == 412:
            return "there already"
        raise


def main():
    for sku, title, price_cents, quantity in GOODS:
        good = {"title": title, "price_cents": price_cents, "quantity": quantity}
        done = put_unless_there(os.environ["STOCK_URL"], sku, good)
        line = {"ts": int(time.time() * 1000), "level": "info", "msg": done, "sku": sku}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
