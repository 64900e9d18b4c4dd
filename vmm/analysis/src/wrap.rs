//! Lines that fit.

/// `items`, separated by commas, after `head`, on as many lines as they need; all but the first are
/// indented by `indent`. Lines break between items, or between words where an item is too long.
pub(crate) fn wrap(head: &str, indent: usize, items: &[String], width: usize) -> Vec<String> {
    let columns = |text: &str| text.chars().count();
    let mut lines = vec![head.to_owned()];
    let mut at_start = true;
    for (at, item) in items.iter().enumerate() {
        let comma = if at + 1 < items.len() { "," } else { "" };
        let item = format!("{item}{comma}");
        let room = width.saturating_sub(if at == 0 { columns(head) } else { indent });
        let pieces = if columns(&item) <= room { vec![item.as_str()] } else { item.split(' ').collect() };
        for piece in pieces {
            let Some(line) = lines.last_mut() else { break };
            let space = if at_start { "" } else { " " };
            if columns(line) + space.len() + columns(piece) <= width {
                *line += space;
                *line += piece;
            } else {
                lines.push(" ".repeat(indent) + piece);
            }
            at_start = false;
        }
    }
    lines
}
