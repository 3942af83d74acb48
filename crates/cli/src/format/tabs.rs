//! Columns of text as Go's text/tabwriter lays them out, for tables that must be Docker's to the byte.
//!
//! A cell ends at a tab; what follows the last tab of a line belongs to no column. Lines that follow each other and
//! have a cell in a column share that column's width.

/// Cells are at least `least` wide and `gap` apart.
pub fn align(text: &str, least: usize, gap: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut columns = Columns { lines: &lines, least, gap, widths: Vec::new(), out: String::new() };
    columns.block(0, lines.len());
    columns.out
}

struct Columns<'a> {
    lines: &'a [Vec<&'a str>],
    least: usize,
    gap: usize,
    /// The widths of the columns left of the one that is being laid out.
    widths: Vec<usize>,
    out: String,
}

impl Columns<'_> {
    /// Lays out the lines of a block, column by column.
    fn block(&mut self, mut from: usize, to: usize) {
        let column = self.widths.len();
        let has = |line: &Vec<&str>| column + 1 < line.len();
        let mut at = from;
        while at < to {
            if !has(&self.lines[at]) {
                at += 1;
                continue;
            }
            self.write(from, at);
            from = at;
            let end = (at..to).find(|line| !has(&self.lines[*line])).unwrap_or(to);
            let widest = (at..end).map(|line| self.lines[line][column].chars().count() + self.gap).max();
            self.widths.push(widest.unwrap_or(0).max(self.least));
            self.block(from, end);
            self.widths.pop();
            from = end;
            at = end;
        }
        self.write(from, to);
    }

    fn write(&mut self, from: usize, to: usize) {
        for at in from..to {
            for (number, cell) in self.lines[at].iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(number) {
                    let missing = width.saturating_sub(cell.chars().count());
                    self.out.extend(std::iter::repeat_n(' ', missing));
                }
            }
            if at + 1 < self.lines.len() {
                self.out.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_block() {
        assert_eq!(align("A\tB\nlonger than ten\tx\n", 10, 3), "A                 B\nlonger than ten   x\n");
        assert_eq!(align("A\t\tC\n", 10, 3), "A                   C\n");
        assert_eq!(align("a:\t1\nplain\nlonger:\t2\n", 4, 1), "a:  1\nplain\nlonger: 2\n");
        assert_eq!(align("…\tx\nab\ty\n", 1, 1), "…  x\nab y\n");
    }
}
