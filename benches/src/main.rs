//! What a session costs a request. See README.md.

mod contender;
mod peers;
mod rounds;
mod table;

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 150 } else { 1_500 };
    // For those that must have a runtime around them. What is measured never waits, and never returns to it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let mut contenders = contender::all();
    let (calls, bytes) = rounds::heap(&mut contenders);
    println!("{}", calls.table("allocator calls over baseline", &contenders));
    println!("{}", bytes.table("bytes over baseline", &contenders));
    let nanoseconds = rounds::nanoseconds(&mut contenders, rounds);
    println!("{}", nanoseconds.table("ns over baseline", &contenders));
    println!("{}", nanoseconds.ratios(&contenders));
}
