"""Traffic lights, poles, and what stands about on pavements.

Slots: 0 main colour, 1 foot or shade, 3 field, 4 metal, 5 lamp, 7 and 8 prints; a traffic
light's 2, 3, 4 are red, amber, green, and 5 its edge.
"""

from __future__ import annotations

from edge_sdk.runtime.sources.street.models.solids import LAMP, Model, front_rectangle


def traffic_light() -> Model:
    """The head alone, its foot at y = 0."""
    model = Model()
    head = model.box((-0.2, 0.2), (0.0, 1.08), (-0.14, 0.14), 0)
    head.add(front_rectangle((-0.17, 0.17), (0.04, 1.04), 0.145), 1)
    for k, slot in enumerate((4, 3, 2)):
        head.disc((0.0, 0.2 + 0.34 * k, 0.15), 0.13, "z", slot, LAMP, sides=10)
    for side in (-1.0, 1.0):
        head.add(front_rectangle((side * 0.2, side * 0.17), (0.0, 1.08), 0.15), 5)
    return model


def pole(height: float, arm: float, lamp: bool) -> Model:
    """Slots 0 metal, 1 foot, 5 lamp."""
    model = Model()
    model.box((-0.13, 0.13), (0.0, 0.4), (-0.13, 0.13), 1, taper=0.03)
    model.box((-0.07, 0.07), (0.3, height), (-0.07, 0.07), 0, taper=0.02)
    if arm:
        model.box((-arm, 0.0), (height - 0.3, height - 0.18), (-0.05, 0.05), 0, layer=1)
    if lamp:
        head = model.box(
            (-arm - 0.35, -arm + 0.35), (height - 0.34, height - 0.22), (-0.14, 0.14), 0, layer=2
        )
        head.add(
            [
                (-arm - 0.3, height - 0.35, -0.1),
                (-arm + 0.3, height - 0.35, -0.1),
                (-arm + 0.3, height - 0.35, 0.1),
                (-arm - 0.3, height - 0.35, 0.1),
            ],
            5,
            LAMP,
        )
    return model


def post_box() -> Model:
    """A post box."""
    model = Model()
    model.box((-0.18, 0.18), (0.0, 0.5), (-0.15, 0.15), 1)
    body = model.box((-0.28, 0.28), (0.5, 1.2), (-0.24, 0.24), 0, layer=1)
    body.add(front_rectangle((-0.2, 0.2), (1.0, 1.06), 0.245), 1)
    body.add(front_rectangle((-0.12, 0.12), (0.7, 0.9), 0.245), 7)
    model.box((-0.28, 0.28), (1.2, 1.3), (-0.24, 0.24), 0, layer=2, taper=0.06)
    return model


def bin() -> Model:
    """A litter bin."""
    model = Model()
    model.box((-0.24, 0.24), (0.0, 0.95), (-0.24, 0.24), 0, taper=-0.06)
    model.box((-0.33, 0.33), (0.95, 1.06), (-0.34, 0.33), 3, layer=1, taper=0.05)
    return model


def sign(shape: str) -> Model:
    """A road sign: round, triangle or board."""
    model = Model()
    model.box((-0.04, 0.04), (0.0, 2.6), (-0.04, 0.04), 4)
    plate = model.part((0.0, 2.5, 0.0), 1)
    for z, rim, field_slot in ((0.06, 0, 3), (-0.06, 4, 4)):
        if shape == "round":
            plate.disc((0.0, 2.5, z), 0.36, "z", rim, sides=14)
            plate.disc((0.0, 2.5, z * 1.1), 0.27, "z", field_slot, sides=14)
        elif shape == "triangle":
            plate.add([(-0.42, 2.15, z), (0.42, 2.15, z), (0.0, 2.88, z)], rim)
            plate.add(
                [(-0.27, 2.24, z * 1.1), (0.27, 2.24, z * 1.1), (0.0, 2.7, z * 1.1)], field_slot
            )
        else:
            plate.add(front_rectangle((-0.7, 0.7), (2.1, 2.9), z), rim)
            plate.add(front_rectangle((-0.55, 0.55), (2.4, 2.55), z * 1.1), field_slot)
            plate.add(front_rectangle((-0.55, 0.2), (2.65, 2.78), z * 1.1), field_slot)
    return model


def bench() -> Model:
    """A bench, its back to +x."""
    model = Model()
    for z in (-0.7, 0.7):
        model.box((-0.2, 0.2), (0.0, 0.42), (z - 0.05, z + 0.05), 1)
    model.box((-0.25, 0.25), (0.42, 0.5), (-0.9, 0.9), 0, layer=1)
    model.box((0.2, 0.27), (0.5, 0.95), (-0.9, 0.9), 0, layer=1)
    return model


def poster() -> Model:
    """An advertising column with a figure on it, which is nobody."""
    model = Model()
    body = model.box((-0.65, 0.65), (0.2, 2.6), (-0.12, 0.12), 0)
    for z in (-0.125, 0.125):
        body.add(front_rectangle((-0.55, 0.55), (0.4, 2.5), z), 3)
        body.add(front_rectangle((-0.28, 0.28), (0.5, 1.4), z * 1.01), 8)
        body.disc((0.0, 1.75, z * 1.02), 0.27, "z", 7, sides=10)
        body.add(front_rectangle((-0.45, 0.45), (2.15, 2.4), z * 1.02), 8)
    model.box((-0.5, 0.5), (0.0, 0.2), (-0.1, 0.1), 1)
    return model


def bollard() -> Model:
    """A bollard."""
    model = Model()
    model.box((-0.08, 0.08), (0.0, 0.9), (-0.08, 0.08), 0, taper=0.02)
    return model
