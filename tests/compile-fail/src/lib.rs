//! What the derive says of mistakes: each file of `ui/` makes one, and the `.stderr` beside it is all there is to read.

#[test]
fn each_mistake_is_one_message_at_its_place() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
