//! Writes the seeds of each target into `corpus/`: the hostile headers of `tests/data/attacks.json`, the cookies of
//! `tests/data/seed-cookies.json`, and one input of each kind that a target tells apart.

use std::{error::Error, fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use session_fuzz::decoders;

fn main() -> Result<(), Box<dyn Error>> {
    let attacks = read("attacks.json")?;
    let headers: Vec<Vec<u8>> = attacks["cases"]
        .as_array()
        .ok_or("no cases")?
        .iter()
        .filter_map(|case| {
            let lines: Vec<Vec<u8>> = case["example_b64"]
                .as_array()?
                .iter()
                .filter_map(|line| BASE64_STANDARD.decode(line.as_str()?).ok())
                .collect();
            Some(lines.join(&b'\n'))
        })
        .collect();
    // With each layer. The tokens of the fuzzer's own stand behind them.
    let header = headers.iter().flat_map(|text| (0..3).map(move |layer| [&[layer], &text[..]].concat()));
    let placed = (0x80..=0x8f_u8).flat_map(|token| {
        (0..3).flat_map(move |layer| {
            [
                [&[layer], &b"__Host-session="[..], &[token]].concat(),
                [&[layer], &b"a=b; __Host-session="[..], &[token], b"; __Host-session=", &[0x81], b"\n", &[0x8c]]
                    .concat(),
            ]
        })
    });
    write("header", header.chain(placed))?;

    let values = headers.iter().flat_map(|header| header.split(|byte| *byte == b'='));
    let texts = values.flat_map(|value| [[&[0, 0], value].concat(), [&[1, 0], value].concat()]);
    write(
        "token",
        texts.chain([vec![0, 1, b'{', b'}'], vec![1, 1, b'{', b'}'], vec![0, 2, 0, 9, 65], vec![1, 2, 0, 9, 65]]),
    )?;

    write("payload", JSON.iter().map(|text| text.as_bytes().to_vec()))?;
    write("flash", FLASH.iter().chain(JSON).map(|text| text.as_bytes().to_vec()))?;
    write("derive", DERIVE.iter().chain(JSON).map(|text| text.as_bytes().to_vec()))?;
    // One form is larger than a cookie.
    let large = format!("name=Ada&notes={}", "x".repeat(3_500));
    write("form", FORMS.iter().copied().chain([large.as_str()]).map(|text| text.as_bytes().to_vec()))?;
    write("set_cookie", COOKIES.iter().map(|text| text.as_bytes().to_vec()))?;
    write("record", records())?;
    let texts = STRUCTS.iter().map(|text| [&[0], text.as_bytes()].concat());
    write(
        "macros",
        texts.chain((0..16).map(|part| [1, part, part + 1, part + 2, 0, 0, part, part, part, part].to_vec())),
    )?;

    let cookies = read("seed-cookies.json")?;
    let vectors = cookies["vectors"].as_array().ok_or("no vectors")?;
    for (name, prefix) in [
        ("play", "play-jwt"),
        ("play-legacy", "play-legacy"),
        ("revel", "revel"),
        ("gorilla", "gorilla"),
        ("buffalo", "buffalo"),
    ] {
        let of_system =
            vectors.iter().filter(|one| one["format"].as_str().is_some_and(|format| format.starts_with(prefix)));
        let headers = of_system.filter_map(|one| {
            let pair = format!("{}={}", one["name"].as_str()?, one["cookie"].as_str()?);
            Some([&[1], pair.as_bytes()].concat())
        });
        write(&name.replace('-', "_"), decoders::seeds(name).into_iter().chain(headers))?;
    }
    Ok(())
}

fn read(name: &str) -> Result<Value, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name);
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    let mut count = 0;
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        count += 1;
    }
    println!("{target}: {count} seeds");
    if count == 0 { Err(format!("{target} has no seeds").into()) } else { Ok(()) }
}

const JSON: &[&str] = &[
    "{}",
    r#"{"n":1,"user":"alice"}"#,
    r#"{"a":null,"b":true,"c":-1.5e300,"d":"\u00e9\ud83d\ude00\"\\","e":[1,[2,{"f":{}}]]}"#,
    r#"{"$":{"until":5,"idle":7,"owner":{"id":"7"},"browser":true,"id":true,"confirmed":5},"user":"alice"}"#,
    r#"{"a":1,"a":2}"#,
    r#"{"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#,
    r#" { "a" : 1 } "#,
    r#"{"a":1}x"#,
    r#"{"a":01}"#,
    r#"{"":""}"#,
];

const FLASH: &[&str] = &[
    r#"{"success":["Saved."]}"#,
    r#"{"error":["a","b"],"notice":"c","$input":{"name":"x","colour":["red","blue"],"none":[]},"$errors":{"name":["Required"]}}"#,
    r#"{"notice":[{"text":"You have {count} messages","count":3}],"$dropped":["notes","…"]}"#,
];

const DERIVE: &[&str] = &[
    r#"{"text":"x","number":-5,"n":340282366920938463463374607431768211455,"float":1.5,"list":[true,null,false]}"#,
    r#"{"map":{"a":"Unit","b":{"Pair":[1,2]},"c":{"Named":{"list":["Unit"],"text":""}}},"old_set":["a","é"]}"#,
    r#"{"choice":{"Pair":[-1,null]},"inner.nested":[1,"x"],"inner.unit":null,"other":[1.0e2]}"#,
];

const FORMS: &[&str] = &[
    "name=Ada&age=36&colours=red&colours=blue",
    "address%5Bcity%5D=London&address[zip]=1&guests[0][name]=a&guests[1][name]=b",
    "a[b][c][d][e]=f&a[b]=1&a=2&[]=3&a[=4&a]=5&a][=6",
    "password=x&card%5Bnumber%5D=4&name=%C3%A9%F0%9F%98%80&=&x",
    "age=&name=&colours=",
    "name=%ff%fe&name=+%2B",
];

const COOKIES: &[&str] = &[
    "\u{1}\n__Host-session\n\n\nabc.def",
    "\u{3}\nsid\nexample.com\n\nabc",
    "\u{7}\n__Secure-shop\n.Example.com\n/shop\nabc",
    "h\nsession\n\n\nabc",
    "G\n__Host-a\na..b\n/a;b\nabc",
    "?\n__host-x\nlocalhost\n/é\nabc",
];

const STRUCTS: &[&str] = &[
    "struct A { a: u8 }",
    "struct A { #[session(rename = \"b\", alias = \"c\")] a: Option<u8>, #[session(default)] d: u8 }",
    "#[session(prefix = \"a.\", redirect = \"/login\")] struct A<T> { #[session(default)] a: Option<T> }",
    "#[ticket(name = \"a\", lifetime = \"5m\")] struct A { a: u8 }",
    "enum A { B }",
    "struct A(u8);",
];

/// A record, and a record with an owner and a label, as Redis keeps them.
fn records() -> Vec<Vec<u8>> {
    use session_core::{
        SessionId,
        store::{Entries, Record, RecordKey},
    };
    let key = RecordKey::of_secret(SessionId::from_bytes([7; 16]), &[9; 32]);
    let record = |text: &str, owner: Option<&str>| Record {
        entries: Entries::parse(text.as_bytes().to_vec()).unwrap_or_default(),
        owner: owner.map(str::to_owned),
        label: owner.map(|_| "Firefox".to_owned()),
        application: Some("shop".to_owned()),
        created_at: 1_893_456_000,
        seen_at: 1_893_456_100,
        expires_at: 1_893_460_000,
        ..Record::empty(key)
    };
    let metadata = br#"{"until":5,"idle":7,"browser":true,"id":true,"confirmed":5,"x":[1]}"#.to_vec();
    let records = [record("{}", None), record(JSON[2], Some("7")), record(JSON[3], Some("é"))];
    records.iter().map(session_stores::fuzzing::text_of).chain([metadata]).collect()
}
