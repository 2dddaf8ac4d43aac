/** Checks, bundles and packs the extension: build/marimo-kernel-bridge.vsix, with the version of the Python package. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';

const run = (script, ...words) => execFileSync(process.execPath, [script, ...words], { stdio: 'inherit' });
const npm = name => execFileSync('npm', ['run', '--silent', name], { stdio: 'inherit', shell: process.platform === 'win32' });

const written = '../../marimo_kernel_bridge/_version.py'; // by hatch-vcs
const version = existsSync(written) && /(\d+\.\d+\.\d+)/.exec(readFileSync(written, 'utf8'));
npm('check');
npm('build');
copyFileSync('../../LICENSE', 'LICENSE');
mkdirSync('build', { recursive: true });
run(
  'node_modules/@vscode/vsce/vsce', 'package', ...(version ? [version[1], '--no-update-package-json'] : []),
  '--no-dependencies', '--allow-missing-repository', '--out', 'build/marimo-kernel-bridge.vsix'
);
