//! How byte-level BPE vocabularies of GGUF files split a text into words, by the names of `tokenizer.ggml.pre`: those that
//! llama.cpp knows, with its expressions. Each expression splits the pieces that the one before left.

/// What a name stands for.
#[derive(Debug)]
pub struct PreTokenizer {
    /// With spaces between them.
    names: &'static str,
    pub expressions: &'static [&'static str],
    /// A word that is a token as a whole is taken as such, whatever the merges say.
    pub ignore_merges: bool,
    /// Whether a text opens with the beginning-of-text token where the file does not say.
    pub opens: bool,
    /// Characters are composed (NFC) first, as the model's own tokenizer does.
    pub composes: bool,
}

const fn plain(names: &'static str, expressions: &'static [&'static str]) -> PreTokenizer {
    PreTokenizer { names, expressions, ignore_merges: false, opens: false, composes: false }
}

const fn merged(names: &'static str, expressions: &'static [&'static str]) -> PreTokenizer {
    PreTokenizer { ignore_merges: true, ..plain(names, expressions) }
}

macro_rules! contractions {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}

/// The expression of Llama 3 and its relatives, with these digits.
macro_rules! words {
    ($digits:literal) => {
        concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// The expression of GPT-4o and its relatives: words by case, what may stand behind one, digits.
macro_rules! cased {
    ($behind:expr, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $behind,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $behind,
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
const LLAMA3: &str = words!(r"\p{N}{1,3}");
const QWEN2: &str = words!(r"\p{N}");
const GPT4O: &str = cased!(concat!(contractions!(), "?"), r"\p{N}{1,3}");
const DEEPSEEK3: &[&str] = &[
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

const TABLE: &[PreTokenizer] = &[
    plain("default", &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
    PreTokenizer {
        opens: true,
        ..merged(
            "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
            &[LLAMA3],
        )
    },
    merged("glm4 glm5", &[LLAMA3]),
    plain("dbrx smaug-bpe chatglm-bpe", &[LLAMA3]),
    merged("minicpm5", &[r"\p{N}{1,3}", words!(r"\p{N}+")]),
    plain(
        "deepseek-llm",
        &[
            r"[\r\n]",
            r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
            r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
            r"\s+$",
            "[一-龥ࠀ-一가-퟿]+",
            r"\p{N}+",
        ],
    ),
    plain("deepseek-coder", &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
    plain("deepseek-v3 hunyuan-dense joyai-llm hy_v4", DEEPSEEK3),
    plain("falcon", &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
    plain(
        "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
        &[r"\p{N}", GPT2],
    ),
    plain(
        "gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe gigachat a.x-4.0 mellum modern-bert",
        &[GPT2],
    ),
    PreTokenizer {
        composes: true,
        ..plain("qwen2 deepseek-r1-qwen kormo f2llmv2 megrez", &[QWEN2])
    },
    plain("stablelm2 hunyuan solar-open grok-2", &[QWEN2]),
    plain(
        "qwen35",
        &[concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )],
    ),
    plain("bloom poro-chat gpt3-finnish", &[BLOOM]),
    plain("viking", &[BLOOM, r"\p{N}"]),
    PreTokenizer { opens: true, ..merged("tekken", &[cased!("", r"\p{N}")]) },
    plain("gpt-4o llama4 kanana2 talkie minimax-m2", &[GPT4O]),
    plain(
        "seed-coder",
        &[concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
        )],
    ),
];

/// The splitting that a name stands for.
pub fn find(name: &str) -> Option<&'static PreTokenizer> {
    TABLE.iter().find(|entry| entry.names.split(' ').any(|known| known == name))
}

/// Every name that is known.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|entry| entry.names.split(' '))
}
