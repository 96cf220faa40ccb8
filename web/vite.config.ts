import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import type { Plugin } from 'vite';

// Three pages, each built alone, for not every server has each: the playground,
// with --mode dashboard the operators' page, and with --mode webhooks what
// `taskmed dev` shows of webhooks. Everything but the pages themselves is under their base, so that the API keeps the other paths.
const pages = {
  playground: { base: '/playground/', page: 'index.html', outDir: 'dist' },
  dashboard: { base: '/dashboard/', page: 'dashboard.html', outDir: 'dist/dashboard' },
  webhooks: { base: '/webhooks/', page: 'webhooks.html', outDir: 'dist/webhooks' },
};

/**
 * Stores the text files of the build compressed and only so: they are embedded
 * into the binary, which would otherwise carry each of them three times.
 * assets.go unpacks one for the rare client that takes neither form.
 */
function storeCompressed(): Plugin {
  let outDir = '';
  return {
    name: 'taskmed-store-compressed',
    apply: 'build',
    configResolved(config) {
      outDir = config.build.outDir;
    },
    closeBundle() {
      const folder = join(outDir, 'assets');
      for (const name of readdirSync(folder)) {
        if (!/\.(js|css|svg|ttf)$/.test(name)) {
          continue;
        }
        const file = join(folder, name);
        const content = readFileSync(file);
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
        writeFileSync(
          `${file}.br`,
          brotliCompressSync(content, {
            params: {
              [constants.BROTLI_PARAM_QUALITY]: 10,
              [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
            },
          }),
        );
        rmSync(file);
      }
    },
  };
}

export default defineConfig(({ mode }) => {
  const { base, page, outDir } = pages[mode === 'dashboard' || mode === 'webhooks' ? mode : 'playground'];
  return {
    base,
    plugins: [react(), storeCompressed()],
    build: {
      target: 'es2022',
      outDir,
      // Files keep their own address: the Content-Security-Policy allows no blobs.
      assetsInlineLimit: 0,
      chunkSizeWarningLimit: 4000,
      rolldownOptions: {
        input: page,
        onLog(level, log, report) {
          // GraphiQL's packages carry "use no memo", which concerns a compiler that
          // they have already been through.
          if (log.code !== 'MODULE_LEVEL_DIRECTIVE') {
            report(level, log);
          }
        },
      },
    },
    worker: { format: 'es' },
    server: {
      // `npm run dev` beside a running `taskmed dev`.
      proxy: {
        '/graphql': 'http://127.0.0.1:8080',
        '/playground/config.json': 'http://127.0.0.1:8080',
        '/webhooks/received.json': 'http://127.0.0.1:8080',
        '/dashboard/history.json': 'http://127.0.0.1:9090',
        '/dashboard/events': 'http://127.0.0.1:9090',
      },
    },
    test: { include: ['src/**/*.test.ts'] },
  };
});
