// How @custom-elements-manifest/analyzer makes custom-elements.json of the JSDoc: with the package's paths, and without
// what is private.
const ATTRIBUTES = 'web/element/attributes.js'; // bundled into element.js

export default {
  globs: ['web/element.js', 'web/define.js', ATTRIBUTES],
  packagejson: false, // package.json names it already
  plugins: [
    {
      name: 'as-packed',
      packageLinkPhase({ customElementsManifest: manifest }) {
        manifest.modules = manifest.modules.filter(({ path }) => path !== ATTRIBUTES);
        const packed = JSON.parse(JSON.stringify(manifest.modules), (key, value) => {
          if (key === 'inheritedFrom' || key === 'superclass') return undefined;
          if (key === 'members') return value.filter(({ privacy, name }) => privacy !== 'private' && !name.endsWith('Callback'));
          return key === 'path' || key === 'module' ? value.replace(/^\/?web\//, 'build/web/') : value;
        });
        manifest.modules.splice(0, Infinity, ...packed);
      },
    },
  ],
};
