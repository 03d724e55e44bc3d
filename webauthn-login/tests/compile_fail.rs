//! A login cannot be finished twice: the compiler says so, and why.

#[test]
#[ignore = "builds the crate once more"]
fn a_step_consumes_the_one_before() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
