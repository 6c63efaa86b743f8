"""Fuzz readers of text, guided by coverage (atheris): ``python tests/fuzz.py [--seconds N] [TARGET ...]``.

What is found lies below ``build/fuzz/TARGET``, with the corpus; a fault is a file ``crash-...``, and makes the exit
status 1. ``python tests/fuzz.py --file build/fuzz/pipeline/crash-... pipeline`` shows its traceback.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz_targets import HOSTILE, ROOT, TARGETS

FOLDER = ROOT / "build" / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz readers of text.")
    parser.add_argument("targets", nargs="*", default=[], choices=[[], *TARGETS], help="by default all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--file", type=Path, help="read this file once instead")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file:
        TARGETS[options.targets[0]].run(options.file.read_bytes())
        return 0
    if options.inside:
        _fuzz(options.targets[0], options.seconds)
        return 0
    faulty = []
    for name in options.targets or TARGETS:  # each in a process of its own: atheris ends it
        command = [sys.executable, __file__, "--inside", "--seconds", str(options.seconds), name]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            faulty.append(name)
    print(f"faults in: {', '.join(faulty)}" if faulty else "no faults")
    return 1 if faulty else 0


def _fuzz(name: str, seconds: int) -> None:
    import atheris

    target, folder = TARGETS[name], FOLDER / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = (word for word in (*target.words, *HOSTILE) if len(word) <= 64)
    escaped = ("".join(rf"\x{byte:02x}" for byte in word) for word in words)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in escaped))
    with atheris.instrument_imports(
        include=[
            "bgkit.yamlfile",
            "bgkit.pipelinefile",
            "bgkit.params",
            "bgkit.models",
            "bgkit.batch",
            "bgkit.files",
            "bgkit.imagefile",
            "bgkit.serve",
            "bgkit.video.record",
            "ruamel",
            "tomllib",
            "json",
        ]
    ):
        for seed in target.seeds():
            target.run(seed)
    places = [f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-timeout=120", "-max_len=20000", *places], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
