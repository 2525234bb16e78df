"""Serve a checkpoint in the browser, or make a Hugging Face Space that does.

python -m demo                                   the shipped flower classifier
python -m demo --checkpoint runs/roses --port 8080
python -m demo --checkpoint runs/a --checkpoint runs/b   one page, with a choice between them
python -m demo --share                           with a public address
python -m demo --collect corrections             visitors can correct answers, for training
python -m demo --only classes.txt                answers only with the classes in this file
python -m demo --replicas 4 --cluster auto       many visitors: see docs/scaling.md
python -m demo deploy USER/NAME --checkpoint runs/roses
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from model.commands import stopping

if __name__ == "__main__":
    stopping.at_once("python -m demo")  # until there are uploads and tunnels to clear

from demo.batch import BATCH, Together
from demo.opening import MOST
from model import shell
from model.checkpoints.checkpoint import SHIPPED
from model.commands import console, only

if TYPE_CHECKING:
    from demo.uploads import UploadFolder
    from model.classifier import Classifier
    from model.serving.pool import Replicas

_OWN_HOSTS = ("127.0.0.1", "localhost", "::1")  # addresses that no other machine can reach
_THREADS = 40  # Gradio's own default
_CHECKPOINT_HELP = "checkpoint folder, or one on the Hub (default: the shipped flowers)"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        arguments: The arguments after `python -m demo`; None for those of the process.

    Returns:
        The options; `run` is the function of the command.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["deploy"]:
        return _parse_deploy(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m demo", description=__doc__, formatter_class=console.HelpFormatter
    )
    console.add_checkpoint(
        parser,
        f"{_CHECKPOINT_HELP}; repeatable: visitors choose between up to {MOST}",
        action="append",
    )
    console.add_page_texts(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    parser.add_argument(
        "--share",
        action="store_true",
        help="also make a public Gradio address; its page shows no training photographs",
    )
    parser.add_argument(
        "--share-server",
        metavar="HOST:PORT",
        help="your own tunnel server (frp), reached without encryption; implies --share",
    )
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors to sign in")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="another site that may use this page, such as https://example.org; repeatable",
    )
    parser.add_argument(
        "--max-file-size", default="10mb", metavar="SIZE", help="largest upload, such as 10mb"
    )
    parser.add_argument(
        "--max-upload-space",
        default="2gb",
        metavar="SIZE",
        help="space for all uploads together; the oldest ones are deleted first",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="auto: CUDA or CPU"
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=BATCH,
        metavar="N",
        help="the most photographs to classify together",
    )
    parser.add_argument(
        "--collect",
        type=Path,
        metavar="DIR",
        help="keep visitors' corrections in this folder, for train.py --add; works with one "
        "--checkpoint only",
    )
    only.add(parser)
    console.add_cache_dir(parser)
    console.add_max_pixels(parser)
    _add_replicas(parser)
    parser.set_defaults(run=main)
    return parser.parse_args(arguments)


def _add_replicas(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "many visitors",
        "Replicas are processes on a Ray cluster that classify for the page; see docs/scaling.md. "
        "They need: pip install -r requirements-cluster.txt",
    )
    group.add_argument(
        "--replicas", type=int, metavar="N", help="number of replicas (default: none)"
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="HOST:PORT of the Ray cluster; auto: the one that runs here, or else a new one on "
        "this machine (default: auto)",
    )
    group.add_argument(
        "--replica-threads",
        type=int,
        metavar="N",
        help="threads of each replica on a CPU (default: its share of the cores, at most 4)",
    )


def _parse_deploy(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo deploy",
        description="Make or update a Hugging Face Space that serves a checkpoint. It contains "
        "only the page, the library, and the checkpoint without thumbnails, file names and hashes "
        "of training photographs. The token comes from: hf auth login, or the variable HF_TOKEN.",
        formatter_class=console.HelpFormatter,
    )
    parser.add_argument("name", metavar="USER/NAME", help="the Space's name on the Hub")
    console.add_checkpoint(parser, _CHECKPOINT_HELP, default=SHIPPED)
    console.add_page_texts(parser)
    parser.add_argument(
        "--hardware",
        default="auto",
        metavar="NAME",
        help="for a new Space, such as cpu-basic or zero-a10g; auto: cpu-basic, or zero-a10g if "
        "your account would have to pay for cpu-basic",
    )
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument(
        "--dry-run", type=Path, metavar="DIR", help="write the files into DIR; upload nothing"
    )
    parser.set_defaults(run=deploy)
    return parser.parse_args(arguments)


def sign_in(text: str | None) -> tuple[str, str] | None:
    """Split `USER:PASSWORD`; None stays None.

    Raises:
        ValueError: A part is missing. The message does not repeat the text, which may be a secret.
    """
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise ValueError("--auth must be USER:PASSWORD.")
    return user, password


def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Returns:
        Exit status 0.

    Raises:
        ValueError: An option is wrong, or a checkpoint cannot be used.
    """
    from demo.memory import share_arenas
    from demo.sizes import parse_size
    from demo.uploads import UploadFolder
    from model.photographs import images

    share_arenas()
    images.allow(options.max_pixels)
    if options.batch < 1:
        raise ValueError(f"--batch {options.batch} must be 1 or more.")
    for option in ("cluster", "replica_threads"):
        if options.replicas is None and getattr(options, option) is not None:
            raise ValueError(f"--{option.replace('_', '-')} works only with --replicas.")
    with UploadFolder(parse_size(options.max_upload_space)) as uploads:
        return _serve(options, uploads)


def _serve(options: argparse.Namespace, uploads: "UploadFolder") -> int:
    # Imported here, because importing gradio fixes its temporary folder.
    from demo import gpu  # noqa: F401  (before torch; demo/gpu.py says why)
    from demo.collect import Corrections
    from demo.opening import open_all, require_one
    from demo.origins import check_origin
    from demo.page import build
    from demo.replicas import ReplicatedClassifier
    from demo.serve import launch, wait_until_stopped
    from demo.share import check_server, in_words, share
    from demo.sizes import parse_size
    from model.sharing.publish import redact

    auth, server = sign_in(options.auth), check_server(options.share_server)
    origins = [check_origin(origin) for origin in options.allow_origin]
    max_bytes = parse_size(options.max_file_size)
    public = options.share or server is not None
    others = public or "SPACE_ID" in os.environ or options.host not in _OWN_HOSTS
    checkpoints = options.checkpoint or [str(SHIPPED)]
    single = {"--collect": options.collect, "--title": options.title, "--link": options.link}
    single["--only"] = options.only
    require_one(checkpoints, single)
    corrections = Corrections(options.collect, public=others) if options.collect else None
    if corrections:
        print(f"{corrections.count:,} corrections are kept in {options.collect} so far.")
    lines = only.read(options.only) if options.only else []
    kind = ReplicatedClassifier if options.replicas is not None else None
    served = open_all(checkpoints, device=options.device, cache_dir=options.cache_dir, kind=kind)
    for classifier in served.values():
        page = classifier.checkpoint.page.changed(options.title, options.link)
        classifier.checkpoint = replace(classifier.checkpoint, page=page)
        if lines:
            only.restrict(classifier, options.only, lines)
        if public:
            classifier.checkpoint = redact(classifier.checkpoint)
    with _replicas(options, list(served.values()), redacted=public) as replicas:
        passes = len(replicas) if replicas else 1
        demo = build(
            served, max_bytes=max_bytes, batch=options.batch, passes=passes, corrections=corrections
        )
        local = launch(
            demo,
            max_bytes=max_bytes,
            uploads=uploads,
            allow_origins=origins,
            can_answer=replicas.can_answer if replicas else None,
            server_name=options.host,
            server_port=options.port,
            auth=auth,
            max_threads=_THREADS + 2 * Together(options.batch, passes).further,
        )
        devices = dict.fromkeys(classifier.backbone.device_text for classifier in served.values())
        where = f"{local} with {' and '.join(devices)}"
        print(f"Serving {', '.join(served)} on {where}. Press Ctrl-C to stop.", flush=True)
        if public:
            print(in_words(share(demo, server), server), flush=True)
        wait_until_stopped(demo)
    return 0


@contextlib.contextmanager
def _replicas(
    options: argparse.Namespace, served: "Sequence[Classifier]", *, redacted: bool
) -> "Iterator[Replicas | None]":
    """Start replicas if there are any to start, and let the classifiers use them in a block."""
    from demo.replicas import ReplicatedClassifier

    if options.replicas is None:
        yield None
        return
    from model.serving.starting import start

    with start(
        served,
        options.replicas,
        address=options.cluster or "auto",
        cache_dir=options.cache_dir,
        threads=options.replica_threads,
        redacted=redacted,
    ) as (replicas, introductions):
        for number, classifier in enumerate(served):
            if isinstance(classifier, ReplicatedClassifier):
                classifier.ask(replicas, number)
        for number, one in enumerate(introductions, 1):
            print(f"Replica {number}: {one.text}", flush=True)
        yield replicas


def deploy(options: argparse.Namespace) -> int:
    """Make or update a Space, or write its files into a folder.

    Returns:
        Exit status 0.

    Raises:
        HubError: The upload failed.
        ValueError: An option is wrong, or a checkpoint cannot be used.
    """
    from demo import deploy as spaces
    from model.checkpoints.checkpoint import load
    from model.sharing.publish import LEFT_OUT

    texts = {"title": options.title, "link": options.link}
    found = console.find_checkpoint(options.checkpoint)
    backbone = load(found.folder).backbone
    if options.dry_run:
        hardware = spaces.asked_for(options.hardware)[0]
        files = spaces.assemble(found, options.dry_run, options.name, hardware=hardware, **texts)
        size = sum((options.dry_run / file).stat().st_size for file in files)
        print("\n".join(file.as_posix() for file in files))
        print(f"{len(files)} files, {size / 1e6:.1f} MB; left out: {LEFT_OUT}.")
        print(f"{spaces.packages(backbone, hardware).text} Start it with:\n")
        print(f"  cd {shell.quote(str(options.dry_run))} && python demo/app.py")
        return 0
    done = spaces.deploy(
        found, options.name, hardware=options.hardware, private=options.private, **texts
    )
    if done.created and done.hardware == spaces.ZERO and options.hardware == spaces.AUTO:
        print("This account would have to pay for cpu-basic, so the Space runs on ZeroGPU.")
    if not done.created and options.hardware != spaces.AUTO:
        print("Note: the Space keeps its hardware; you can change it in the Space's settings.")
    verb = "was made" if done.created else "was updated"
    print(f"{done.url} {verb}; it will be ready within minutes.")
    print(spaces.packages(backbone, done.hardware).text)
    return 0


if __name__ == "__main__":
    parsed = parse()
    sys.exit(console.run("python -m demo", lambda: parsed.run(parsed)))
