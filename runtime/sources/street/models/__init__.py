"""The models of everything on the street."""

from edge_sdk.runtime.sources.street.models.catalogue import Library, catalogue

__all__ = ["Library", "catalogue"]
