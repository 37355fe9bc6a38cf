import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

export default defineConfig({
  // Vue is to leave the tag alone: it is an element, not a component of Vue's.
  plugins: [vue({ template: { compilerOptions: { isCustomElement: (tag) => tag === 'cxr-lens' } } })],
  // In development, Vite is to serve the package as it is, with its worker, modules and model.
  optimizeDeps: { exclude: ['cxrlens'] },
});
