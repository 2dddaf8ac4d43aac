import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CellSettings } from '../../protocol';
import { settingsOf, withSettings } from '../src/settings.js';

const NONE: CellSettings = { name: '', hide_code: false, expand_output: false, column: null };

test('a cell without settings has none', () => {
  for (const metadata of [{}, { marimo: { config: {} } }, { marimo: 'odd', jupyter: [true] }, { marimo: { name: 3, config: { column: 'x' } } }]) {
    assert.equal(settingsOf(metadata), null);
  }
});

test('what is written is read again', () => {
  const settings = { name: 'first', hide_code: true, expand_output: true, column: 2 };
  const metadata = withSettings({}, settings, true);
  assert.deepEqual(metadata, {
    marimo: { config: { hide_code: true, expand_output: true, column: 2 }, name: 'first' },
    jupyter: { source_hidden: true }
  });
  assert.deepEqual(settingsOf(metadata), settings);
});

test('code that Jupyter hides is hidden, unless marimo has settings of the cell', () => {
  assert.equal(settingsOf({ jupyter: { source_hidden: true } })?.hide_code, true);
  assert.equal(settingsOf({ jupyter: { source_hidden: true }, marimo: { name: 'a' } })?.hide_code, false);
});

test('what else is in the metadata stays, and nothing empty is left', () => {
  const before = { marimo: { config: { disabled: true, hide_code: true }, more: 1 }, jupyter: { outputs_hidden: true, source_hidden: true } };
  assert.deepEqual(withSettings(before, NONE, true), { marimo: { config: { disabled: true }, more: 1 }, jupyter: { outputs_hidden: true } });
  assert.deepEqual(withSettings({ marimo: { name: 'a' }, jupyter: { source_hidden: true } }, NONE, true), { marimo: undefined, jupyter: undefined });
  assert.deepEqual(withSettings({}, { ...NONE, hide_code: true }, false).jupyter, undefined); // Jupyter shows the text of Markdown only on demand
});
