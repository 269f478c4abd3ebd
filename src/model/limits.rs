//! Named bounds of what one event or expression may cost. Bounds of sockets
//! and bodies stand in `ingress/limits.rs`.

/// How many times larger than its text a parsed body may be in memory, and
/// how many bytes it may have in any case. Bodies of webhooks grow ten times.
pub const BODY_GROWTH: usize = 48;
/// See [`BODY_GROWTH`].
pub const BODY_GROWTH_ALWAYS: usize = 1024 * 1024;

/// Most bytes that a parsed body may take up in memory.
pub const BODY_PARSED_BYTES: usize = 256 * 1024 * 1024;

/// Longest CEL source that is compiled, in bytes.
pub const CEL_SOURCE_BYTES: usize = 16 * 1024;

/// Deepest expression tree that is compiled. Evaluation recurses once a level.
pub const CEL_DEPTH: usize = 250;

/// Most nodes an expression tree may have.
pub const CEL_NODES: usize = 20_000;

/// Stack of the thread that parses CEL, in bytes: the parser recurses over
/// text that has not been measured yet.
pub const CEL_PARSE_STACK_BYTES: usize = 64 * 1024 * 1024;

/// Steps one evaluation may take. A step is a node visited or an element
/// looked at; a built-in that walks text or a list pays for its length.
pub const CEL_FUEL: u64 = 2_000_000;

/// Most bytes of values one evaluation may build.
pub const CEL_MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// Deepest nesting of what overlays add. The journal must be able to read it
/// back: JSON is read to a depth of 128.
pub const EXTENSIONS_DEPTH: usize = 96;

/// Longest binding value that is compiled, in bytes.
pub const BINDING_SOURCE_BYTES: usize = 64 * 1024;

/// Most JSON nodes one JSONPath expression may visit.
pub const JSONPATH_FUEL: u64 = 2_000_000;

/// Most JSON nodes all expressions of one trigger may visit for one event.
pub const BIND_FUEL: u64 = 16_000_000;

/// Most bytes the values of all parameters of one delivery may have together.
pub const PARAMS_BYTES: usize = 32 * 1024 * 1024;

/// Most bytes one rendered resource may have.
pub const MANIFEST_BYTES: usize = 1536 * 1024;

/// Most resources one trigger may render.
pub const MANIFESTS_PER_TRIGGER: usize = 256;
