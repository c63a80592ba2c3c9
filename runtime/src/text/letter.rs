//! Token rules 3: what a letter is told by. Letters with marks become those without, and Latin ones those of ASCII.

/// Skipped wherever it stands: soft hyphen, combining marks, joiners, zero-width spaces, marks of direction,
/// variation selectors, byte order mark, skin tones, tags.
#[inline(never)]
pub(super) fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

/// A sign that is a word by itself: emoji, dingbats and the signs around them.
#[inline(never)]
pub(super) fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{1f000}'..='\u{1faff}')
}

/// Half of a flag.
pub(super) fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// The syllable or kana that `mark` makes of `c`, where their composition is no letter with a mark to be skipped.
#[inline(never)]
pub(super) fn composed(c: char, mark: char) -> Option<char> {
    let (first, second) = (c as u32, mark as u32);
    let whole = match (c, mark) {
        ('\u{1100}'..='\u{1112}', '\u{1161}'..='\u{1175}') => {
            0xac00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
        }
        ('\u{ac00}'..='\u{d7a3}', '\u{11a8}'..='\u{11c2}') => first + second - 0x11a7,
        ('う' | 'ウ', '\u{3099}') => first + 0x4e,
        ('ワ'..='ヲ', '\u{3099}') => first + 8,
        ('か'..='ほ' | 'カ'..='ホ' | 'ゝ' | 'ヽ', '\u{3099}') => first + 1,
        ('は'..='ほ' | 'ハ'..='ホ', '\u{309a}') => first + 2,
        _ => return None,
    };
    char::from_u32(whole)
}

/// The letter without marks; a Latin one, and any that loses a mark, in lower case.
pub(super) fn plain(c: char) -> char {
    let block = BLOCKS.iter().rfind(|block| u32::from(block.first) <= c as u32);
    char::from_u32(block.map_or(c as u32, |block| block.plain(c as u32))).unwrap_or(c)
}

/// Letters from `first` on, in runs that fold to one letter each.
struct Block {
    first: u16,
    /// One before the first letter that they fold to.
    base: u16,
    /// A run a byte: which letter after `base`, and in the lower three bits its length less one.
    runs: &'static [u8],
}

/// Runs that stay as they are.
const SAME: u32 = 0;
/// Runs that fold to the letters as far below as they are long.
const BELOW: u32 = 31;

impl Block {
    fn plain(&self, c: u32) -> u32 {
        let mut end = u32::from(self.first);
        for &run in self.runs {
            let length = u32::from(run & 7) + 1;
            end += length;
            if c < end {
                return match u32::from(run >> 3) {
                    SAME => c,
                    BELOW => c - length,
                    letter => u32::from(self.base) + letter,
                };
            }
        }
        c
    }
}

/// Reads runs as they are written below: a letter, `-` ([`SAME`]) or `<` ([`BELOW`]), then the length unless it is 1.
const fn packed<const N: usize>(base: u32, written: &str) -> [u8; N] {
    let bytes = written.as_bytes();
    let (mut runs, mut count, mut at) = ([0; N], 0, 0);
    while at < bytes.len() {
        let byte = bytes[at] as u32;
        at += 1;
        match byte {
            0x20 => {}
            // Below ASCII's letters: the length of the run before.
            0x31..=0x38 => runs[count - 1] |= (byte - 0x31) as u8,
            _ => {
                let mut letter = byte;
                if byte >= 0x80 {
                    letter = (byte & 31) << 6 | bytes[at] as u32 & 63;
                    at += 1;
                }
                let code = match byte {
                    0x2d => SAME,
                    0x3c => BELOW,
                    _ => letter - base,
                };
                runs[count] = (code << 3) as u8;
                count += 1;
            }
        }
    }
    // Fewer runs than the table has places end the compilation here.
    [runs][(count != N) as usize]
}

const fn block(first: u16, base: char, runs: &'static [u8]) -> Block {
    Block { first, base: base as u16 - 1, runs }
}

/// À to ǯ and on: Latin-1, Latin Extended-A and -B; the IPA letter ʒ, which is what is left of ǯ.
const LATIN: [u8; 148] = packed(
    'a' as u32 - 1,
    "a7 c e4 i4 d n o5 - o u4 y t s a7 c e4 i4 d n o5 - o u4 y t y \
     a6 c8 d4 e8 e2 g8 h4 i8 i4 j2 k3 l8 l2 n8 n o8 r6 s8 t6 u8 u4 w2 y3 z6 s \
     b6 o c2 d5 e3 f2 g2 h i2 k2 l2 m n2 o5 p2 r s4 t4 u3 v y2 z7 s2 t w -4 d3 l3 n3 \
     a2 i2 o2 u8 u2 e a6 g4 k2 o4 z2 j d3 g2 h w n2 a4 o2 a4 e4 i4 o4 r4 u4 s2 t2 y2 h2 n d o2 \
     z2 a2 e2 o8 y2 l n t j d q a c2 l t s z q2 b u v e2 j2 q2 r2 y2 -8 -8 -8 -8 -8 -8 -8 -8 -2 z",
);

/// Ḁ to ỿ: Latin Extended Additional.
const LATIN_ADDITIONAL: [u8; 52] = packed(
    'a' as u32 - 1,
    "a2 b6 c2 d8 d2 e8 e2 f2 g2 h8 h2 i4 k6 l8 m6 n8 o8 p4 r8 s8 s2 t8 u8 u2 v4 w8 w2 x4 y2 z6 \
     h t w y a s4 d a8 a8 a8 e8 e8 i4 o8 o8 o8 u8 u6 y8 l2 v2 y2",
);

/// Ά to ϔ.
const GREEK: [u8; 34] = packed(
    'α' as u32 - 1,
    "α - ε η ι - ο - υ ω ι -8 -8 -8 - ι υ α ε η ι υ -8 -8 - σ -7 ι υ ο υ ω -3 υ3",
);

/// ἀ to ῼ.
const GREEK_EXTENDED: [u8; 65] = packed(
    'α' as u32 - 1,
    "α8 α8 ε6 -2 ε6 -2 η8 η8 ι8 ι8 ο6 -2 ο6 -2 υ8 - υ - υ - υ - υ ω8 ω8 α2 ε2 η2 ι2 ο2 υ2 ω2 -2 \
     α8 α8 η8 η8 ω8 ω8 α5 - α7 - ι -3 η3 - η2 ε2 η3 -3 ι4 -2 ι6 -4 υ4 ρ2 υ6 ρ -5 ω3 - ω2 ο2 ω3",
);

/// Ѐ to ѷ.
const CYRILLIC: [u8; 33] = packed(
    'а' as u32 - 1,
    "е2 - г -3 < -4 к и у -8 -2 < -8 -8 -8 -7 < -8 -8 -6 е2 - г -3 < -4 к и у -8 -8 -7 <2",
);

/// Ӂ to ӹ.
const CYRILLIC_EXTENDED: [u8; 20] =
    packed('а' as u32 - 1, "ж2 -8 -5 а4 -2 е2 -2 <2 ж2 з2 -2 и4 о2 -2 <2 э2 у6 ч2 -2 ы2");

/// By their first letters.
const BLOCKS: [Block; 6] = [
    block(0xc0, 'a', &LATIN),
    block(0x386, 'α', &GREEK),
    block(0x400, 'а', &CYRILLIC),
    block(0x4c1, 'а', &CYRILLIC_EXTENDED),
    block(0x1e00, 'a', &LATIN_ADDITIONAL),
    block(0x1f00, 'α', &GREEK_EXTENDED),
];
