import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the UI against a server on its default port.
const server = "http://localhost:9090";

export default defineConfig({
  base: "./",
  plugins: [react()],
  server: { proxy: { "/api": server, "/-": server, "/metrics": server } },
  build: {
    target: "es2022",
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      output: {
        manualChunks: (id: string) => {
          if (/node_modules\/(@codemirror|@lezer|@prometheus-io)\//.test(id)) return "editor";
          if (/node_modules\//.test(id)) return "vendor";
          return undefined;
        },
      },
    },
  },
  // The server puts its route prefix where the placeholder stands, in front of every asset.
  experimental: {
    renderBuiltUrl: (file, { hostType }) =>
      hostType === "html" ? `PREFIX_PLACEHOLDER/${file}` : { relative: true },
  },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"] },
});
