/** Generated at build: the SHA-256, in hexadecimal, of the files that ship. */
export const assets: Readonly<Record<'cxrlens-simd.wasm' | 'cxrlens-relaxed.wasm' | 'cxrlens-scalar.wasm' | 'cxrlens.cxrm', string>>;
