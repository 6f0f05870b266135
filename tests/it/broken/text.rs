//! Broken files: objects as YAML or JSON, and then damaged as text.

use proptest::{
    prelude::{Just, Strategy, any, prop, prop_oneof},
    sample::select,
};
use serde_json::Value;

/// How an object is written, and what happens to the text.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pretty: bool,
    damages: Vec<Damage>,
}

/// Places are positions in the text, modulo its length.
#[derive(Clone, Debug)]
enum Damage {
    Cut(u16),
    Insert(u16, &'static [u8]),
    /// The first lines once more, so that keys are repeated.
    Twice,
    Brackets(usize),
    AliasBomb,
    CarriageReturns,
}

const INSERTED: &[&[u8]] = &[
    b"\t",
    b"\"",
    b"'",
    b"{",
    b"]",
    b": ",
    b"- ",
    b"#",
    b"\n---\n",
    b"\n...\n",
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"&a ",
    b"*a",
    b"<<: *a\n",
    b"!!binary ",
    b"!tag ",
    b"{{ .Values.x }}",
    b"%YAML 9.9\n",
    b"? ",
    b"|2-\n",
    b"\x1b[31m",
    b"\xe2\x80\xa8",
];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        20 => any::<u16>().prop_map(Damage::Cut),
        80 => (any::<u16>(), select(INSERTED)).prop_map(|(at, part)| Damage::Insert(at, part)),
        10 => Just(Damage::Twice),
        10 => select([10, 127, 128, 3_000].to_vec()).prop_map(Damage::Brackets),
        // Rare, because each costs a budget of a million values.
        1 => Just(Damage::AliasBomb),
        10 => Just(Damage::CarriageReturns),
    ]
}

/// Most files are written well; what is in them is broken already.
pub(super) fn writing() -> impl Strategy<Value = Writing> {
    let damages = prop_oneof![
        3 => prop::collection::vec(damage(), 0..1),
        1 => prop::collection::vec(damage(), 1..3),
    ];
    (any::<bool>(), damages).prop_map(|(pretty, damages)| Writing { pretty, damages })
}

impl Writing {
    /// The bytes of a file.
    pub(super) fn write(&self, object: &Value) -> Vec<u8> {
        let text = if self.pretty {
            serde_saphyr::to_string(object).unwrap_or_else(|_| object.to_string())
        } else {
            object.to_string()
        };
        let mut bytes = text.into_bytes();
        for damage in &self.damages {
            damage.apply(&mut bytes);
        }
        bytes
    }

    /// Whether the text says what the object says.
    pub(super) fn is_whole(&self) -> bool {
        self.damages.is_empty()
    }
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % bytes.len().max(1);
        match self {
            Self::Cut(at) => bytes.truncate(place(*at)),
            Self::Insert(at, part) => {
                let at = place(*at).min(bytes.len());
                bytes.splice(at..at, part.iter().copied());
            }
            Self::Twice => {
                let copy = bytes.clone();
                bytes.push(b'\n');
                bytes.extend(copy);
            }
            Self::Brackets(depth) => {
                bytes.extend(b"\nextra: ");
                bytes.extend(std::iter::repeat_n(b'[', *depth));
            }
            Self::AliasBomb => {
                bytes.extend(b"\n---\na: &a [x, x, x, x, x, x, x, x]\n");
                for (name, of) in "bcdefghij".chars().zip("abcdefghi".chars()) {
                    let aliases = vec![format!("*{of}"); 8].join(", ");
                    bytes.extend(format!("{name}: &{name} [{aliases}]\n").bytes());
                }
            }
            Self::CarriageReturns => {
                let text: Vec<u8> = (bytes.iter())
                    .flat_map(|byte| match byte {
                        b'\n' => vec![b'\r', b'\n'],
                        byte => vec![*byte],
                    })
                    .collect();
                *bytes = text;
            }
        }
    }
}
