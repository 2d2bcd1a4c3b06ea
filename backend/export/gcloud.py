"""The export for bash, gcloud and kubectl: two scripts and the manifests that they apply."""

from __future__ import annotations

from collections.abc import Iterator

from backend.export.cluster_files import files_of
from backend.export.folder import File
from backend.export.recipe import Recipe
from backend.export.setup_script import setup_script
from backend.export.teardown_script import teardown_script


def gcloud_files(recipe: Recipe) -> Iterator[File]:
    """Give the scripts and, below ``manifests/``, a folder for each cluster."""
    yield File("setup.sh", setup_script(recipe), executable=True)
    yield File("teardown.sh", teardown_script(recipe), executable=True)
    for cluster in recipe.spec.clusters:
        for name, text in files_of(recipe, cluster).items():
            yield File(f"manifests/{cluster.name}/{name}", text)
