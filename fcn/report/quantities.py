"""Numbers as people read them."""


def percent(value: float | None) -> str:
    """A fraction as percent with one decimal, `-` for what is missing."""
    return "-" if value is None else f"{100 * value:.1f}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as far as they count; below a minute, tenths do."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{seconds:.1f} s"


def size(count: int) -> str:
    """Bytes in the unit that suits them, thousands as usual on disks."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
