"""Write the JSON Schemas that the package ships; ``tests/test_schema.py`` fails where they are stale.

Usage: python docs/schemas.py
"""

from __future__ import annotations

import json
from pathlib import Path

from bgkit import stages
from bgkit.models.card import card_schema
from bgkit.pipelinefile import pipeline_schema
from bgkit.train.recipefile import recipe_schema

FOLDER = Path(__file__).resolve().parents[1] / "bgkit" / "schemas"

if __name__ == "__main__":
    schemas = {"pipeline": pipeline_schema(stages.shipped()), "recipe": recipe_schema(), "card": card_schema()}
    for name, schema in schemas.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", "utf-8")
