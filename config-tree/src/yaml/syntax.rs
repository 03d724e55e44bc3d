//! What to do about text that is not YAML.

use granit_parser::ErrorKind as Kind;

/// What to write instead of what the parser stumbled over.
pub(super) fn remedy(kind: &Kind) -> &'static str {
    match kind {
        Kind::TabInBlockIndentation | Kind::TabInIndentation | Kind::TabInPlainScalar | Kind::TabNotAllowed => {
            "indent with spaces"
        }
        Kind::SimpleKeyExpected | Kind::ExpectedBlockMappingKey | Kind::InvalidSimpleKey => {
            "write `name: value`, with a space after the colon, each field of a block indented alike"
        }
        Kind::MappingValueNotAllowed | Kind::InvalidColonPlacement => {
            "indent the line like its neighbours, or put a value with `: ` in quotes"
        }
        Kind::InvalidIndentation => "indent the line like its neighbours",
        Kind::UnclosedQuotedScalar | Kind::InvalidQuotedScalarIndent => "close the quotes",
        Kind::UnclosedFlowCollection { .. }
        | Kind::UnexpectedEofFlowMapping
        | Kind::UnexpectedEofFlowSequence
        | Kind::UnexpectedEofImplicitFlowMapping
        | Kind::ExpectedFlowMappingSeparator
        | Kind::ExpectedFlowSequenceSeparator => "close the bracket, and separate what is inside by commas",
        Kind::UnknownAnchor => "define the anchor earlier in the same document, or write the value out",
        Kind::UnexpectedCharacter { .. } => "put the value in quotes",
        Kind::ExpectedDocumentStart | Kind::MissingDocumentEndBeforeDirective => "separate documents by a line `---`",
        _ => "check punctuation and indentation there; put text with special characters in quotes",
    }
}
