"""A specification as something that runs without mcig: shell scripts, manifests or Terraform.

``export`` gives the files, ``write`` puts them into a folder. Invariants: the same specification gives the same bytes;
no file holds a token; nothing is asked of any cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from backend.export.folder import ChangedFiles, File, Written, write
from backend.export.recipe import Recipe
from backend.spec import GatewaySpec
from backend.surroundings import project_of

__all__ = ["ChangedFiles", "File", "Format", "Written", "export", "write"]


class Format(StrEnum):
    """What a specification is exported as."""

    GCLOUD = "gcloud"
    """``setup.sh`` and ``teardown.sh`` for bash, gcloud and kubectl."""
    MANIFESTS = "manifests"
    """The Kubernetes objects, a folder with a kustomization for each cluster."""
    TERRAFORM = "terraform"
    """Four root modules for the providers google and kubernetes, to be applied one after the other."""


def export(
    spec: GatewaySpec,
    format: Format,  # noqa: A002 - the option's name
    *,
    environ: Mapping[str, str],
) -> tuple[File, ...]:
    """Give the files of a specification, in the order of their paths.

    The project is the specification's, else the one that ``environ`` names; raises ``UsageError`` without one.
    """
    recipe = Recipe.of(spec, project_of(spec, environ))
    match format:
        case Format.GCLOUD:
            from backend.export.gcloud import gcloud_files as files
        case Format.MANIFESTS:
            from backend.export.kustomize import kustomize_files as files
        case Format.TERRAFORM:
            from backend.export.terraform import terraform_files as files
    return tuple(sorted(files(recipe), key=lambda file: file.path))
