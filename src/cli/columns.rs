//! Rows of cells as columns on a terminal.
//!
//! Must never let a cell steer the terminal.

use std::io::{self, Write};

use crate::model::text::printable;

/// Writes `header` and `rows`, each column as wide as its widest cell.
pub(super) fn write<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    out: &mut impl Write,
) -> io::Result<()> {
    let safe = |row: [String; N]| row.map(|cell| printable(&cell));
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows.map(safe)).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
