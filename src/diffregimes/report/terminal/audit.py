"""What `diffregimes audit` prints: the verdict, times beside the exact score's, copies."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ...auditing.findings import Audit, SamplesAudit
from ...common.readable import interval_text

NARROWEST = 66  # the table does not fit into less: such terminals break its lines


def print_audit(audit: SamplesAudit, folder: Path) -> None:
    """The verdict in words, the times of collapse, the copies, notes, where the report lies."""
    console = Console(highlight=False, markup=False)
    console.print(audit.verdict.headline, style="bold")
    sentences = Table.grid(padding=(0, 1))
    for sentence in audit.sentences:
        sentences.add_row("-", sentence)
    console.print(sentences)
    console.print()
    if isinstance(audit, Audit):
        wide = Console(width=max(console.width, NARROWEST), highlight=False, markup=False)
        wide.print(_table(audit))
        console.print(
            "t is Ornstein-Uhlenbeck time, 0 at the data; exact: score of the training points"
        )
        console.print()
    copies = audit.copies
    for what, share, of in (
        ("copies", copies.share, "samples"),
        ("baseline", copies.baseline, copies.baseline_of),
    ):
        console.print(f"{what}: {share.count} of {share.of} {of} ({share.in_percent()})")
    for view in (audit.in_features, audit.in_parts):
        if view is not None:
            console.print(view.verdict.headline)
    for one in audit.conditions[:5] if isinstance(audit, Audit) else ():
        if one.copies is not None and one.copies.count:
            console.print(
                f"condition {one.name}: {one.copies.count} copies among {one.copies.of} samples"
            )
    for origin in audit.origins[:3]:
        times = "once" if origin.copies == 1 else f"{origin.copies} times"
        named = f"{origin.index} ({origin.file})" if origin.file else f"{origin.index}"
        twins = f" ({len(origin.twins)} duplicates of it counted with it)" if origin.twins else ""
        console.print(f"  training point {named} came out {times}{twins}")
    if len(audit.origins) > 3:
        console.print(f"  and {len(audit.origins) - 3} more training points (see the report)")
    if audit.own_times is not None and audit.own_times.spearman is not None:
        console.print(audit.own_times.message)
    for note in audit.notes:
        console.print(f"note: {note}")
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def _table(audit: Audit) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("collapse by", no_wrap=True)
    for name in ("model t", "95 % interval", "exact t", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for x in audit.collapse:
        exact = interval_text(x.exact, x.exact_low, x.exact_high)
        # the exact score was not asked for its last changes
        known = x.exact is not None or x.method != "last-change"
        table.add_row(
            x.method, *interval_text(x.t, x.low, x.high), *(exact if known else ("", "")),
        )  # fmt: skip
    return table
