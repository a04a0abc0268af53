"""python tests/toy_server --port 8010 --world sums --policy noisy-oracle:slip=0.02"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from deadreckon.contracts import Privileged
from deadreckon.models import load_model
from deadreckon.worlds import load_world
from toy_server import FAULTS, Manners, ToyLaw, ToyServer, WorldLaw


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8010)
    parser.add_argument("--world", default="", help="play this world; otherwise a toy language model")
    parser.add_argument("--level", type=int, default=1)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the runs whose items it knows")
    parser.add_argument("--policy", default="noisy-oracle:slip=0.02")
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--kinds", default=",".join(FAULTS))
    parser.add_argument("--defects", default="", help="names, with commas")
    parser.add_argument("--most-top", type=int, default=20)
    parser.add_argument("--key", default="")
    args = parser.parse_args()
    policy = load_model(args.policy)
    assert isinstance(policy, Privileged)
    law = WorldLaw(load_world(args.world), policy, args.level, args.items, args.seed) if args.world else ToyLaw()
    manners = Manners(most_top=args.most_top, defects=frozenset(filter(None, args.defects.split(","))))
    with ToyServer(
        law, manners, faults=args.faults, kinds=tuple(args.kinds.split(",")), key=args.key, port=args.port
    ) as server:
        print(f"{server.url} model toy", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
