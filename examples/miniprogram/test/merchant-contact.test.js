// The component in WeChat's own simulator for components.

const assert = require('node:assert/strict')
const path = require('node:path')
const { after, test } = require('node:test')

const { JSDOM } = require('jsdom')

// The simulator wants a browser; jsdom is one.
const { window } = new JSDOM('<!doctype html>')
globalThis.window = window
for (const name of ['document', 'Node', 'HTMLElement', 'Event', 'CustomEvent']) {
  globalThis[name] = window[name]
}
after(() => window.close())

const simulate = require('miniprogram-simulate')

const ROOT = path.join(__dirname, '..')
const MERCHANT_CONTACT = simulate.load(
  path.join(ROOT, 'components/merchant-contact/merchant-contact'),
  'merchant-contact',
  { rootPath: ROOT },
)

function render(properties) {
  const component = simulate.render(MERCHANT_CONTACT, properties)
  component.attach(document.createElement('div'))
  return component
}

function attributesOfButton(component) {
  const [button] = component.toJSON().children
  assert.equal(button.tagName, 'wx-button')
  return Object.fromEntries(button.attrs.map(({ name, value }) => [name, value]))
}

test('while the merchant is not known, the button is disabled and names nobody', () => {
  const button = attributesOfButton(render({}))
  assert.equal(button.disabled, true)
  assert.equal(button.businessId, '')
  assert.equal(button.sessionFrom, '')
})

test('a known merchant is named twice: for WeChat, and for the way back', () => {
  const button = attributesOfButton(render({ businessId: '42' }))
  assert.equal(button.disabled, false)
  assert.equal(button.openType, 'contact')
  assert.equal(button.businessId, '42')
  assert.equal(button.sessionFrom, 'wechat-kf:42')
})

test('it follows the merchant as the page learns it, and forgets it again', () => {
  const component = render({})
  component.setData({ businessId: '42' })
  assert.equal(attributesOfButton(component).sessionFrom, 'wechat-kf:42')
  assert.equal(attributesOfButton(component).disabled, false)
  component.setData({ businessId: '' })
  assert.equal(attributesOfButton(component).sessionFrom, '')
  assert.equal(attributesOfButton(component).disabled, true)
})

test('the card is what the page says', () => {
  const button = attributesOfButton(
    render({ businessId: '42', showCard: true, cardTitle: '苹果', cardPath: '/pages/x?id=1' }),
  )
  assert.equal(button.showMessageCard, true)
  assert.equal(button.sendMessageTitle, '苹果')
  assert.equal(button.sendMessagePath, '/pages/x?id=1')
})

for (const [what, detail, expected] of [
  ['a path and a query', { path: 'pages/x', query: { id: '1', q: '苹 果' } }, '/pages/x?id=1&q=%E8%8B%B9%20%E6%9E%9C'],
  ['a path alone', { path: '/pages/x', query: {} }, '/pages/x'],
  ['a path that has its query', { path: 'pages/x?id=1', query: { id: '1' } }, '/pages/x?id=1'],
]) {
  test(`coming back with ${what} fires return with where to go`, async () => {
    const component = render({ businessId: '42' })
    const returned = []
    component.addEventListener('return', ({ detail: found }) => returned.push(found))
    component.querySelector('.contact').dispatchEvent('contact', { detail })
    await simulate.sleep(10)
    assert.deepEqual(returned, [{ path: expected }])
  })
}

test('coming back without a card fires nothing', async () => {
  const component = render({ businessId: '42' })
  const returned = []
  component.addEventListener('return', (event) => returned.push(event))
  component.querySelector('.contact').dispatchEvent('contact', { detail: { path: '', query: {} } })
  await simulate.sleep(10)
  assert.deepEqual(returned, [])
})
